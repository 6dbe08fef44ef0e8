"""Shows what use cases return: tables for people, JSON for machines."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mlpack.ports import Deployment
from mlpack.sizes import MEGABYTE, megabytes

if TYPE_CHECKING:  # a use case's module is heavy, and each is shown by one command only
    from mlpack.cli.console import Console
    from mlpack.export import Parity, Step
    from mlpack.oci.account import Part
    from mlpack.usecases.cache import Contents
    from mlpack.usecases.deploy import Plan
    from mlpack.usecases.explain import Explained
    from mlpack.usecases.export import Proved
    from mlpack.usecases.install import InstallResult
    from mlpack.usecases.lock import LockResult
    from mlpack.usecases.outcome import Result
    from mlpack.usecases.portable import Portable
    from mlpack.usecases.train import Trained

SMALL = 100_000
"""Bytes of a part of a package that are not worth a line."""

MOST_CHANGES = 40
"""So many changes of a lock are shown."""


def plain(value: Any) -> Any:  # noqa: ANN401 - any value of a use case
    """A value as JSON holds it."""
    return msgspec.to_builtins(
        dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value,  # type: ignore[arg-type]
        enc_hook=lambda other: str(other) if isinstance(other, Path) else NotImplemented,
    )


def as_json(console: Console, value: Any) -> None:  # noqa: ANN401
    """A use case's value as JSON."""
    console.json(plain(value))


def each_json(console: Console, values: Sequence[Any]) -> None:
    """Several values of a use case as JSON."""
    console.json([plain(value) for value in values])


def trained(console: Console, result: Trained) -> None:
    """The metrics of a training."""
    console.table([(name, f"{value:.4g}") for name, value in result.metrics.items()])
    console.say("Next: mlpack build")


def locked(console: Console, result: LockResult) -> None:
    """What a lock decided."""
    if not result.resolved:
        if result.dev:
            console.say("Nothing changed: the lock stands.")
        return
    for change in result.changes[:MOST_CHANGES]:
        console.note(f"{change.name} {change.before or '(new)'} → {change.after or '(gone)'}")
    if (more := len(result.changes) - MOST_CHANGES) > 0:
        console.note(f"and {more} more: they stand in requirements-dev.lock.txt")
    console.say(
        f"Locked {result.prod} packages for production, {result.dev} for development. "
        "Next: mlpack install"
    )


def installed(console: Console, result: InstallResult) -> None:
    """What an installation changed."""
    del result
    console.say("The environment is what the lock says. Next: mlpack train")


def parity(console: Console, report: Parity) -> None:
    """The proof's table: figures only."""
    rows = [
        (
            check.name,
            f"{check.rows:,}",
            f"{check.labels_wrong + check.outcomes_wrong + check.beyond:,}",
            "exact" if check.largest == 0 else f"{check.largest:.1e}",
            f"{check.refused:,}",
            "equal" if check.equal else "DIFFERENT",
        )
        for check in report.checks
    ]
    console.table(rows, ("rows", "asked", "different", "largest difference", "refused by both", ""))


def steps(console: Console, report: Parity) -> None:
    """What became of each step, and how its own answer in the graph compares."""
    rows = [(_told(step), step.path, *_compared(step)) for step in report.steps]
    looked = any(step.compared or step.uncompared for step in report.steps)
    head = ("", "step", "rows", "columns", "different", "largest difference", "")
    if looked:
        console.table(rows, head)
    else:
        console.table([(form, path, last) for form, path, *_, last in rows])
    wrong = report.first_differing
    if report.equal and wrong is not None:
        console.warn(f"{wrong.path} differs by itself, though no answer does: worth a look")


def _compared(step: Step) -> tuple[str, ...]:
    """A step's figures, and in words what is to be said of it."""
    found = step.compared
    if found is None:
        unseen = f"not compared: {step.uncompared}" if step.uncompared else ""
        return "-", "-", "-", "-", step.reason or unseen
    different = found.beyond + found.outcomes_wrong
    largest = f"{found.largest:.1e}" if found.largest else "-" if different else "exact"
    said = step.reason or ("DIFFERENT" if different else "")
    return f"{found.rows:,}", f"{found.columns:,}", f"{different:,}", largest, said


def proof(console: Console, proved: Proved) -> None:
    """What became of each step, the table, and the worst rows for the author's eyes."""
    steps(console, proved.parity)
    parity(console, proved.parity)
    if proved.record.reason:
        console.warn(_why(proved))
    for row in proved.worst:
        console.say(f"  {row['check']}: {row['row']}")
        console.say(f"    original {row['original']}")
        console.say(f"    served   {row['served']}")


def _why(proved: Proved) -> str:
    """In one sentence, why it is no graph or not all of it, and what that brings along."""
    record = proved.record
    if record.form != "hybrid":
        return f"the pipeline ships as Python: {record.reason}"
    with_them = f", with {', '.join(sorted(record.imports))}" if record.imports else ""
    return f"all but some steps ship as a graph; those stay Python{with_them}: {record.reason}"


def proof_json(console: Console, proved: Proved, made: Portable | None = None) -> None:
    """The export's record and the proof's report, and the portable graph if one was written."""
    told: dict[str, Any] = {
        "form": proved.record.form,
        "reason": proved.record.reason,
        "parity": plain(proved.parity),
        "versions": proved.record.versions,
    }
    if made is not None:
        told["portable"] = plain(made)
    console.json(told)


def explained(console: Console, found: Explained) -> None:
    """What becomes of each step, and what to type next."""
    console.table([(_told(step), step.path, step.reason or "") for step in found.steps])
    said = {
        "onnx": "The whole pipeline exports as a graph.",
        "hybrid": "All but the steps that stay Python export as a graph.",
        "python": "The pipeline would ship as Python.",
    }
    console.say(f"{said[found.form]} Prove it: mlpack export")


def _told(step: Step) -> str:
    if step.form != "graph":
        return "Python" if step.form == "python" else step.form
    return {"traced": "traced", "skl2onnx": "graph (skl2onnx)"}.get(step.how, "graph")


def portable(console: Console, made: Portable) -> None:
    """The portable graph."""
    console.say(f"Wrote {made.path} ({made.size / MEGABYTE:.2f} MB): one input per raw column.")
    console.result(str(made.path))


def sizes(console: Console, result: Result) -> None:
    """What the image is made of, as a tree, the largest first."""
    image = result.built.artifacts.get("image")
    if image is None:
        console.warn("there is no image in dist/: mlpack build --explain-size makes one")
        return
    if not image.platforms:
        _sizes(console, image.parts, image.unpacked or 0, "over the base, unpacked")
    for platform, each in image.platforms.items():
        _sizes(console, each.parts, each.unpacked, f"{platform}, over the base, unpacked")


def _sizes(console: Console, parts: Sequence[Part], unpacked: int, title: str) -> None:
    total = sum(part.size for part in parts)
    rows = [
        ("dependencies", _megabytes(total), ""),
        *(row for part in sorted(parts, key=_largest_first) for row in _part(part)),
        ("the model and its package", _megabytes((unpacked or total) - total), ""),
    ]
    console.table(rows, (title, "MB", "left out, MB"))


def dockerfile(console: Console, text: str, *, json: bool) -> None:
    """A Dockerfile as it is, or in JSON."""
    if json:
        console.json({"dockerfile": text})
    else:
        console.result(text.removesuffix("\n"))


def cache(console: Console, found: Contents) -> None:
    """What the cache holds, kind by kind."""
    if not found.kinds:
        console.say(f"There is nothing in {found.root}.")
        return
    total = sum(kind.size for kind in found.kinds)
    rows = [(kind.name, f"{kind.entries:,}", _megabytes(kind.size)) for kind in found.kinds]
    console.table([*rows, ("all", "", _megabytes(total))], (str(found.root), "entries", "MB"))
    if not found.removed:
        console.say("To make room: mlpack cache --clean --older-than 30")


def _largest_first(part: Part) -> tuple[int, str]:
    return -part.size, part.name


def _part(part: Part) -> list[tuple[str, ...]]:
    gone = sum(cut.size for cut in part.cuts)
    cuts = [cut for cut in part.cuts if cut.size >= SMALL]
    rows = [(f"├ {part.name} {part.version}".rstrip(), _megabytes(part.size), _megabytes(gone))]
    if part.bytecode >= SMALL:
        rows.append(("│ ├ bytecode", _megabytes(part.bytecode), ""))
    return [*rows, *((f"│ ├ not in it: {cut.what}", "", _megabytes(cut.size)) for cut in cuts)]


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:.2f}"


def built(console: Console, result: Result, *, loaded: bool = True) -> None:
    """The artifacts, and what to type next: an engine may have the image if it was loaded."""
    if result.proved is not None:
        if not result.unchanged:
            proof(console, result.proved)
        elif result.proved.record.reason:
            console.warn(_why(result.proved))
    dist = result.built.dist.name
    console.table(
        [
            (
                artifact.kind,
                f"{dist}/{artifact.file}",
                megabytes(artifact.size),
                f"sha256:{artifact.sha256[:12]}",
            )
            for artifact in result.built.artifacts.values()
        ]
    )
    if result.unchanged:
        console.say("Nothing changed since the last build.")
    wheel = result.built.artifacts.get("wheel")
    image = result.built.artifacts.get("image")
    following = ["mlpack serve"]
    if image is not None and image.image:
        start = f"docker run --rm -p 8080:8080 {image.image}"
        following.append(start if loaded else f"docker load -i {dist}/{image.file} && {start}")
    elif wheel is not None:
        following.append(f"pip install {dist}/{wheel.file}")
    console.say(f"Next: {'   or: '.join(following)}")


def build_json(console: Console, result: Result) -> None:
    """What ``build.json`` says, whether anything changed, and how long each stage took."""
    stages = [{"title": each.title, "seconds": round(each.seconds, 3)} for each in console.timed]
    console.json({**plain(result.built), "unchanged": result.unchanged, "stages": stages})


def deployed(console: Console, outcome: Deployment | Plan) -> None:
    """What a deployment did, or would do."""
    for action in outcome.actions:
        mark = "+" if action.needed else "="
        console.say(f"  {mark} {action.verb:<7} {action.what}  {action.detail}".rstrip())
    if isinstance(outcome, Deployment):
        if outcome.left:
            console.say(f"Not deployed yet. Left to do: {shlex.join(outcome.left)}")
        else:
            console.say(f"Deployed to {outcome.reference}")
        console.result(outcome.digest)
    else:
        console.say("This is a plan: nothing was changed." if outcome.changes else "Up to date.")


def deployed_json(console: Console, outcome: Deployment | Plan) -> None:
    """The actions, and where it is now."""
    console.json(plain(outcome))


def inspection(console: Console, found: Any) -> None:  # noqa: ANN401 - an Inspection
    """What a project holds."""
    facts = found.to_json()
    remarks = facts.pop("remarks", [])
    rows = []
    for name, value in facts.items():
        rows += _rows(name, value)
    console.table(rows)
    for remark in remarks:
        fix = f"\n      {remark['fix']}" if remark.get("fix") else ""
        console.say(f"  {remark['kind']}: {remark['what']}{fix}")


def _rows(name: str, value: Any) -> list[tuple[str, str]]:  # noqa: ANN401
    if value in (None, [], {}, ""):
        return [(name, "-")]
    if isinstance(value, dict):
        return [row for key, inner in value.items() for row in _rows(f"{name}.{key}", inner)]
    if isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return [(name, ", ".join(value))]
        return [row for i, item in enumerate(value) for row in _rows(f"{name}.{i}", item)]
    return [(name, str(value))]
