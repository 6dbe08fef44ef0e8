"""A constant load, and what became of every request."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field

from typing_extensions import Self


@dataclass
class Load:
    """So many requests a second, by clients that keep their connections and never ask twice.

    Attributes:
        port: of loopback.
        row: what is asked.
        rate: requests a second.
        clients: so many connections.
        answered: how many had an answer of 2xx.
        lost: what became of the others: when, and what.
        slowest: the longest time that an answer took, in seconds.
    """

    port: int
    row: dict
    rate: int = 200
    clients: int = 20
    answered: int = 0
    lost: list = field(default_factory=list)
    slowest: float = 0.0

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._mutex = threading.Lock()
        self._began = time.monotonic()
        self._threads = [
            threading.Thread(target=self._client, args=(n,)) for n in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self.seconds = time.monotonic() - self._began

    def _client(self, number: int) -> None:
        pause = self.clients / self.rate
        body = json.dumps(self.row)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        turn = self._began + pause * number / self.clients
        while not self._over.is_set():
            time.sleep(max(0.0, turn - time.monotonic()))
            turn += pause
            asked = time.monotonic()
            try:
                connection.request("POST", "/predict", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                said = answer.read()
                failed = None if answer.status < 300 else f"{answer.status} {said[:200]!r}"
            except (OSError, http.client.HTTPException) as error:
                failed = repr(error)
                connection.close()
            took = time.monotonic() - asked
            with self._mutex:
                self.slowest = max(self.slowest, took)
                if failed is None:
                    self.answered += 1
                else:
                    self.lost.append((round(asked - self._began, 2), failed))
        connection.close()
