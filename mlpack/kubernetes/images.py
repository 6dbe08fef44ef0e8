"""A release's image, in the registry from which the cluster has it."""

from __future__ import annotations

from dataclasses import dataclass

from mlpack.delivery.pushing import Pusher
from mlpack.errors import InputError
from mlpack.kubernetes.values import Release
from mlpack.oci.cache import Cache
from mlpack.oci.reference import Reference, parse
from mlpack.oci.values import AnyImage, MultiImage


@dataclass(frozen=True)
class Images:
    """The images of a service.

    Attributes:
        pusher: knows their repository.
        cache: where what is pulled is kept.
    """

    pusher: Pusher
    cache: Cache

    def named(self, release: Release) -> Reference:
        """What names a release's image.

        Raises:
            InputError: it is in another repository.
        """
        where = f"release {release.number}"
        insecure = "http://" if self.pusher.repository.scheme == "http" else ""
        found = parse(f"{insecure}{release.image}", where)
        if found.name != self.pusher.repository.name:
            raise InputError(
                f"its image is in {found.name}",
                where=where,
                hint=f'[deploy]\nrepository = "{found.name}"',
            )
        return found

    def pulled(self, image: Reference) -> AnyImage:
        """The image; its layers come when they are opened.

        Raises:
            OutsideError: it is not there any more, or the registry refuses.
        """
        return self.pusher.connect().pull_whole(image, self.cache)

    def python(self, release: Release) -> str:
        """The Python that a release's server runs in; empty where it is none of mlpack's.

        Raises:
            InputError, OutsideError: as of `named` and `pulled`.
        """
        image = self.pulled(self.named(release))
        one = image.images[0] if isinstance(image, MultiImage) else image
        return (one.config.execution.entrypoint or ("",))[0]
