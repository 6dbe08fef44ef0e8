"""The wheel: ``pip install`` it, then ``from churn import Model``."""

from __future__ import annotations

from pathlib import Path

from mlpack import files
from mlpack.bundle import Artifact, Bundle
from mlpack.ports import Reporter
from mlpack.sizes import megabytes
from mlpack.wheelfile import EPOCH, wheel_bytes, wheel_name


class WheelPackager:
    """Writes the wheel of a bundle."""

    kind = "wheel"

    def __init__(self, epoch: int = EPOCH) -> None:
        """Entries get the time `epoch`, in seconds since 1970 (``SOURCE_DATE_EPOCH``)."""
        self._epoch = epoch

    def package(self, bundle: Bundle, into: Path, reporter: Reporter) -> Artifact:
        """Write the wheel into the folder `into`, whole or not at all."""
        name = wheel_name(bundle.manifest)
        with reporter.stage("Packing the wheel") as stage:
            data = wheel_bytes(bundle, self._epoch)
            files.write(into / name, data)
            stage.result(f"{name}, {megabytes(len(data))}")
        return Artifact(kind=self.kind, file=name, sha256=files.sha256(data), size=len(data))
