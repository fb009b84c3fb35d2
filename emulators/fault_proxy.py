"""Starts a fault proxy before a server, and tells it what to do.

```python
with ObjectStore() as store, FaultProxy(store.url) as proxy:
    proxy.add(Fault("refuse", "POST", "/upload/", when="after", status=503))
    …                                       # clients use proxy.url
    for request in proxy.seen(): …          # number, method, path, query, status, fault
```
"""

from __future__ import annotations

import json
import sys
import urllib.request
from dataclasses import asdict
from typing import Any

from emulators.faults import Fault, Seen
from emulators.processes import Server, Stoppable


class FaultProxy(Stoppable):
    """A running fault proxy. Use it as a context manager: it stops at the end.

    `url` takes the place of the server's own in `STORAGE_EMULATOR_HOST` or `BIGQUERY_EMULATOR_HOST`.
    """

    def __init__(self, upstream: str) -> None:
        """Starts the proxy before the server at the URL `upstream`; waits until it answers."""

        def command(port: int) -> list[str]:
            ends = ["--upstream", upstream, "--port", str(port)]
            return [sys.executable, "-m", "emulators.proxy", *ends]

        self._server = Server(command, "/_faults/health")
        self.url = self._server.url

    def add(self, *faults: Fault) -> None:
        """Plans faults; the first that fits a request is the one that befalls it."""
        for fault in faults:
            self._ask("POST", "plan", asdict(fault))

    def hits(self) -> list[int]:
        """How many requests each planned fault has befallen, in the order they were added."""
        return [int(planned["hits"]) for planned in self._ask("GET", "plan")]

    def clear(self) -> None:
        """Forgets all faults; requests that hang end at once, those delayed go on."""
        self._ask("DELETE", "plan")

    def seen(self) -> list[Seen]:
        """The requests seen since the start or the last `forget`, numbered from 1."""
        return [Seen(**seen) for seen in self._ask("GET", "seen")]

    def forget(self) -> None:
        """Forgets the requests seen; numbers start from 1 again."""
        self._ask("DELETE", "seen")

    def stop(self) -> None:
        """Stops the proxy. Twice is fine."""
        self._server.close()

    def _ask(self, method: str, what: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_faults/{what}", data=data, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())
