"""What can go wrong on the wire, as values that travel to the fault proxy and back as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass

REFUSE, CUT, HANG, HALF, DELAY, KILL, STOP = ACTIONS = (
    *("refuse", "cut", "hang", "half", "delay", "kill", "stop"),
)
BEFORE, AFTER = "before", "after"
HEAD, BODY = "head", "body"

REASONS = {
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    408: "requestTimeout",
    409: "conflict",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
    500: "internalError",
    502: "badGateway",
    503: "backendError",
    504: "gatewayTimeout",
}


@dataclass(frozen=True)
class Fault:
    """What befalls the next `times` requests that fit, after `skip` of them went by unharmed.

    A request fits when its method is `method` (None: any) and the regular expression `path` is
    found in its path with the query, such as `/bigquery/v2/projects/p/jobs?prettyPrint=false`.

    `when` is "before" (the server never sees the request) or "after" (it did what was asked). By
    `action`:

    * refuse: the client is answered with `status` and Google's JSON error of `reason`;
    * cut: the connection ends before the answer's head, or within its body (`where`: "head",
      "body"); "before": it ends without the request being forwarded;
    * hang: no answer for `seconds`, then the connection ends;
    * half: the server gets half of the request's body, then both connections end;
    * delay: all goes well, `seconds` later;
    * kill: SIGKILL to a process; the request is not forwarded, or its answer not returned;
    * stop: SIGSTOP to a process; then all goes well, `seconds` later.

    The process is `pid`, or whoever sent the request (None), with its process group if `group`.
    """

    action: str = REFUSE
    method: str | None = None
    path: str = ""
    skip: int = 0
    times: int = 1
    when: str = BEFORE
    status: int = 503
    reason: str | None = None
    where: str = HEAD
    seconds: float = 0.0
    pid: int | None = None
    group: bool = False

    def __post_init__(self) -> None:
        """Refuses what is no fault."""
        if self.action not in ACTIONS or self.when not in {BEFORE, AFTER}:
            raise ValueError(f"no such fault: {self.action} {self.when}")
        if self.where not in {HEAD, BODY}:
            raise ValueError(f"an answer is cut in its {HEAD} or {BODY}, not {self.where}")
        re.compile(self.path)

    def fits(self, method: str, target: str) -> bool:
        """Whether the fault is for this request."""
        return self.method in {None, method} and re.search(self.path, target) is not None


@dataclass(frozen=True)
class Seen:
    """A request that the proxy saw: the `number`-th, from 1 on.

    `status` is what the client was answered with: None where it was not, or not yet. `fault` is the
    action that befell the request. `body_bytes` is the size of its body.
    """

    number: int
    method: str
    path: str
    query: str
    body_bytes: int
    status: int | None = None
    fault: str | None = None
