"""The wire fails: refusals, cut and late replies, half a request, a service that is down."""

from __future__ import annotations

from dataclasses import replace

from emulators.faults import AFTER, BEFORE, BODY, CUT, HALF, HANG, REFUSE, Fault
from faults.bench import DONE, INCOMPLETE, SERVICE, Bench
from faults.kills import MOST_STEPS, proxy_of

SHORT_RETRY = {"PIXELSHIP_RETRY_S": "3"}
_EVER = 1 << 30
_SETTLE_EVERY = 6
_CREATION = "ifGenerationMatch=0"

PASSING = {
    "503 before": Fault(REFUSE, when=BEFORE, status=503),
    "503 after": Fault(REFUSE, when=AFTER, status=503),
    "500": Fault(REFUSE, when=AFTER, status=500),
    "429": Fault(REFUSE, when=BEFORE, status=429),
    "no connection": Fault(CUT, when=BEFORE),
    "reply cut": Fault(CUT, when=AFTER),
    "reply cut within": Fault(CUT, when=AFTER, where=BODY),
    "half-written upload": Fault(HALF, method="POST", path="/upload/"),
    "412 after": Fault(REFUSE, when=AFTER, status=412, method="POST", path=_CREATION),
    "hang": Fault(HANG, when=AFTER, seconds=30),
}
"""What a run must get over by itself."""


def once_at_every_request(bench: Bench, server: str, kind: str, stride: int) -> None:
    """A passing fault at each request in turn, until there is none for it to befall."""
    proxy = proxy_of(bench, server)
    for count, skip in enumerate(range(0, MOST_STEPS, stride)):
        bench.add()
        proxy.add(replace(PASSING[kind], skip=skip))
        bench.load(environment=SHORT_RETRY)
        has_hit = any(proxy.hits())
        bench.cloud.calm()
        if count % _SETTLE_EVERY == 0 or not has_hit:
            bench.settle()
        if not has_hit:
            return
    bench.wonder("a run has no end of requests")


def many_at_random(bench: Bench, rounds: int) -> None:
    """Several passing faults of any kind in one run, at both servers."""
    for _ in range(rounds):
        bench.add()
        for server in ("store", "bigquery"):
            for _ in range(bench.chance.randrange(1, 5)):
                kind = bench.chance.choice([name for name in PASSING if name != "hang"])
                fault = replace(PASSING[kind], skip=bench.chance.randrange(25))
                proxy_of(bench, server).add(fault)
        bench.load(allowed=(DONE, SERVICE))
        bench.cloud.calm()
        bench.settle()


def down_from_a_request_on(bench: Bench, server: str, stride: int) -> None:
    """A service that goes down in the middle of a run and stays down; later it is back."""
    proxy = proxy_of(bench, server)
    for skip in range(0, MOST_STEPS, stride):
        bench.add()
        proxy.add(Fault(REFUSE, when=BEFORE, skip=skip, times=_EVER))
        ended = bench.load(allowed=(DONE, SERVICE), environment={"PIXELSHIP_RETRY_S": "0.8"})
        bench.cloud.calm()
        bench.settle()
        if ended.status == DONE:
            return
        bench.expect(len(ended.err.strip().splitlines()) == 1, "one sentence on standard error")
    bench.wonder("a run has no end of requests")


def refused_for_good(bench: Bench, status: int, reason: str) -> None:
    """Inserts of jobs are refused: what cannot be loaded waits, and is loaded later."""
    proxy = proxy_of(bench, "bigquery")
    for skip in range(6):
        bench.add()
        proxy.add(Fault(REFUSE, "POST", "/jobs", skip=skip, status=status, reason=reason))
        bench.load(allowed=(DONE, INCOMPLETE, 2))
        bench.cloud.calm()
        bench.settle()
