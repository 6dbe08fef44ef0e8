"""Who may ask for predictions, and how often."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from .keys import Keys
from .problems import CLOSE, ProblemError
from .rates import Rates
from .routes import Headers
from .settings import Settings


class Admission:
    """Lets requests in. Used on one event loop.

    Args:
        settings: the keys and the rate.
        clock: seconds that only grow.

    Attributes:
        limited: whether anybody may ask too often.

    Raises:
        SettingsError: the file of API keys cannot be read.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = Keys(settings.keys, settings.keys_file, clock)
        self._rate = settings.rate_limit
        self._rates: Rates | None = None
        if settings.rate_limit:
            # Each worker sees about its share of a client's requests.
            self._rates = Rates(settings.rate_limit / max(1, settings.workers), clock)
        self.limited = self._rates is not None

    def authorize(self, headers: Headers) -> None:
        """Let a request with a key pass, or any where there are no keys.

        Raises:
            ProblemError: 401.
        """
        if self._keys and not self._keys.allow(headers):
            raise ProblemError(
                401,
                "unauthorized",
                "send an API key: Authorization: Bearer KEY, or X-API-Key: KEY",
                headers=((b"www-authenticate", b"Bearer"), CLOSE),
            )

    def count(self, address: str, headers: Headers) -> None:
        """Count a request for predictions.

        Raises:
            ProblemError: 429, there were too many with its key, or from its address.
        """
        if self._rates is None:
            return
        key = self._keys.given(headers) if self._keys else None
        seconds = self._rates.wait(key or address)
        if seconds:
            detail = f"more than {self._rate} requests a second"
            after = b"%d" % max(1, math.ceil(seconds))
            raise ProblemError(429, "too-many-requests", detail, headers=((b"retry-after", after),))
