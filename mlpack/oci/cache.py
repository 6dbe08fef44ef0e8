"""The user's cache: blobs by digest and remembered results by key. Safe to delete at any time.

Entries are written whole or not at all, and named after their content or after everything that
they depend on: two builds at once may write the same entry, and nothing else happens.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpack.errors import OutsideError
from mlpack.files import disk_errors, sha256_of, staged, write
from mlpack.oci.values import checked_digest


def default_root(env: Mapping[str, str], home: Path) -> Path:
    """Where the cache lies: ``MLPACK_CACHE``, or ``mlpack`` in the user's cache folder."""
    if chosen := env.get("MLPACK_CACHE"):
        return Path(chosen)
    base = env.get("XDG_CACHE_HOME")
    return (Path(base) if base else home / ".cache") / "mlpack"


@dataclass(frozen=True)
class Cache:
    """A folder of blobs (``blobs/sha256/HEX``) and results (``KIND/KEY.json``)."""

    root: Path

    def blob(self, digest: str) -> Path:
        """The path of the blob with `digest`, there or not."""
        return self.root / "blobs" / "sha256" / checked_digest(digest, "cache")[len("sha256:") :]

    def add(self, digest: str, chunks: Iterable[bytes], source: str) -> Path:
        """Store a blob, verified as it comes. An entry that is there already stays.

        Raises:
            OutsideError: `source` sent other bytes than `digest` names; nothing is kept.
        """
        path = self.blob(digest)
        if path.exists():
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
            with tempfile.TemporaryDirectory(prefix=".scratch.", dir=self.root) as folder:
                yield Path(folder)

    def keep(self, digest: str, file: Path) -> Path:
        """Move a finished file, whose digest is known, to its place among the blobs."""
        path = self.blob(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        file.replace(path)
        return path

    def recall(self, kind: str, key: str) -> bytes | None:
        """What was remembered under `key`, or None."""
        try:
            return self._entry(kind, key).read_bytes()
        except FileNotFoundError:
            return None

    def remember(self, kind: str, key: str, value: bytes) -> None:
        """Keep `value` for `key`."""
        write(self._entry(kind, key), value)

    def _entry(self, kind: str, key: str) -> Path:
        return self.root / kind / f"{sha256_of([(kind, key.encode())])}.json"
