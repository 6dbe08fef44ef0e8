"""Writes the portable graph of a proved export, after the same proof."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlpack import inspection
from mlpack.errors import InputError, ProofError
from mlpack.export import Exported
from mlpack.exporters.portable import MISSING, compose
from mlpack.exporters.portable_texts import FILL, inputs
from mlpack.files import write
from mlpack.ports import NotExportableError
from mlpack.proof.portable import PortableEngine, PortableSession
from mlpack.runtime import contract
from mlpack.training.usercode import importable
from mlpack.workers import subject, wire
from mlpack.workers.export import difference


def work(request: dict[str, Any], progress: Callable[[str], None]) -> wire.Answer:
    """Compose, prove and write; the answer has the proof's number of rows."""
    project = inspection.read(Path(request["root"]))
    folder = Path(request["export"])
    signature = contract.read(folder, contract.SIGNATURE_FILE, contract.Signature)
    encoding = contract.read(folder, contract.ENCODING_FILE, contract.Encoding)
    core = (folder / contract.ONNX_FILE).read_bytes()
    try:
        model = compose(core, encoding, signature)
    except NotExportableError as error:
        raise InputError(
            f"there is no portable graph: {error.reason}",
            hint="Build the wheel, the zip or the image instead: mlpack build",
        ) from error
    progress("loading the model")
    with importable(project), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = subject.read(project)
        progress("proving the portable graph")
        exported = Exported(form="onnx", model=core, encoding=encoding, steps=())
        engine = PortableEngine(model, MISSING, signature, inputs(encoding.texts), FILL)
        session = PortableSession(signature, engine)
        parity, _ = read.prove(session, exported)
    if not parity.equal:
        raise ProofError(
            f"the portable graph answers otherwise than the original: {difference(parity)}",
            hint="Build the wheel, the zip or the image instead: mlpack build",
        )
    write(Path(request["to"]), model)
    return {"rows": parity.rows, "size": len(model)}


if __name__ == "__main__":
    sys.exit(wire.main(work))
