"""The user's cache: blobs by digest and remembered results by key. Safe to delete at any time.

Entries are written whole or not at all, and named after their content or after everything that
they depend on: two builds at once may write the same entry, and nothing else happens.

What a disk has done to an entry since is found where it is read: a remembered result begins with
its digest, small blobs and wheels are hashed (`Cache.read`, `Cache.intact`). Layers are not, since
whatever copies one hashes it (`mlpack.oci.layout.copy_verified`). What is damaged is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from mlpack.errors import OutsideError
from mlpack.files import disk_errors, sha256, sha256_file, sha256_of, staged, sweep, write
from mlpack.oci.values import checked_digest

_T = TypeVar("_T")


def default_root(env: Mapping[str, str], home: Path) -> Path:
    """Where the cache lies: ``MLPACK_CACHE``, or ``mlpack`` in the user's cache folder.

    The path is absolute: programs in it are started from other folders.
    """
    if chosen := env.get("MLPACK_CACHE"):
        return Path(chosen).absolute()
    base = env.get("XDG_CACHE_HOME")
    return ((Path(base) if base else home / ".cache") / "mlpack").absolute()


@dataclass(frozen=True)
class Cache:
    """A folder of blobs (``blobs/sha256/HEX``) and results (``KIND/KEY.told``)."""

    root: Path

    def blob(self, digest: str) -> Path:
        """The path of the blob with `digest`, there or not."""
        return self.root / "blobs" / "sha256" / checked_digest(digest, "cache")[len("sha256:") :]

    def add(self, digest: str, chunks: Iterable[bytes], source: str) -> Path:
        """Store a blob, verified as it comes. An entry that is there already stays, if it is whole.

        Raises:
            OutsideError: `source` sent other bytes than `digest` names; nothing is kept.
        """
        path = self.blob(digest)
        if self.intact(digest):
            return path
        actual = hashlib.sha256()
        with staged(path) as stage, stage.open("wb") as out:
            for chunk in chunks:
                actual.update(chunk)
                out.write(chunk)
            if f"sha256:{actual.hexdigest()}" != digest:
                raise OutsideError(
                    f"{source} sent other bytes than {digest[:19]} names (cut off or changed)",
                    hint="Run the same command again; nothing wrong was kept.",
                )
        return path

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder on the cache's own disk, removed at the end of the block."""
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            sweep(self.root, ".scratch.*")
            with tempfile.TemporaryDirectory(prefix=".scratch.", dir=self.root) as folder:
                yield Path(folder)

    def keep(self, digest: str, file: Path) -> Path:
        """Move a finished file, whose digest is known, to its place among the blobs."""
        path = self.blob(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        file.replace(path)
        return path

    def read(self, digest: str) -> bytes | None:
        """The content of a small blob; None where it is not there, or was damaged."""
        path = self.blob(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        if f"sha256:{sha256(data)}" == digest:
            return data
        path.unlink(missing_ok=True)
        return None

    def intact(self, digest: str) -> Path | None:
        """The blob with `digest`, hashed anew; None where it is not there, or was damaged."""
        path = self.blob(digest)
        try:
            good = f"sha256:{sha256_file(path)}" == digest
        except FileNotFoundError:
            return None
        if good:
            return path
        path.unlink(missing_ok=True)
        return None

    def damaged(self, digest: str) -> bool:
        """Whether a blob is there and has other bytes than `digest` names; it stays there."""
        path = self.blob(digest)
        return path.exists() and f"sha256:{sha256_file(path)}" != digest

    def recall(self, kind: str, key: str, form: type[_T]) -> _T | None:
        """What was remembered under `key`, or None. It is of the type `form`."""
        path = self._entry(kind, key)
        try:
            told, _, value = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        if told == sha256(value).encode():
            with contextlib.suppress(msgspec.DecodeError):  # another mlpack wrote another form
                return msgspec.json.decode(value, type=form)
        path.unlink(missing_ok=True)
        return None

    def remember(self, kind: str, key: str, value: object) -> None:
        """Keep `value`, such as a struct, for `key`."""
        data = msgspec.json.encode(value)
        write(self._entry(kind, key), sha256(data).encode() + b"\n" + data)

    def _entry(self, kind: str, key: str) -> Path:
        return self.root / kind / f"{sha256_of([(kind, key.encode())])}.told"
