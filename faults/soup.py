"""All faults at once, at random: runs that race, are killed and stopped, on a bad wire, with bad jobs."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace

from emulators.bigquery import JobFault
from faults.bench import DONE, INCOMPLETE, KILLED, SERVICE, SETUP, Bench
from faults.kills import proxy_of
from faults.mischief import SmallCheckpoints
from faults.places import BigQueryPlace
from faults.processes import Run
from faults.wire import PASSING

_ANY = (DONE, INCOMPLETE, SETUP, SERVICE, KILLED)
_REASONS = (None, "backendError", "invalid", "quotaExceeded", "rateLimitExceeded", "internalError")
_HASTY = {"PIXELSHIP_RETRY_S": "2", "PIXELSHIP_JOB_WAIT_S": "1"}
_MOST_SKIP = 40
_LONGEST_JOB_S = 1.5
_LONGEST_RUN_S = 3.0


def stir(bench: Bench, rounds: int) -> None:
    """Rounds of it; after each the wire is calm, and what is there is held against the book."""
    names = bench.add()
    bench.settle()
    for _ in range(rounds):
        names += bench.add(bench.chance.randrange(1, 4))
        if bench.chance.random() < 0.3:
            bench.grow(bench.chance.choice(names))
        _spoil_wire(bench)
        _spoil_jobs(bench)
        runs = [_start(bench) for _ in range(bench.chance.randrange(1, 4))]
        _interfere(bench, runs)
        for run in runs:
            bench.end(run, _ANY)
        bench.cloud.calm()
        bench.cloud.bigquery.clear_faults(_project(bench))
        bench.settle(allowed=(DONE, INCOMPLETE))


def _start(bench: Bench) -> Run:
    run = bench.start(SmallCheckpoints(bench.chance.choice((1, 2, 5))), environment=_HASTY)
    run.work_on(bench.chance.uniform(0, 0.5))
    return run


def _interfere(bench: Bench, runs: Sequence[Run]) -> None:
    """Some runs are stopped for a while, some are killed, stopped ones too."""
    for run in runs:
        fate = bench.chance.choice(("kill", "stop", "stop and kill", "leave"))
        if fate == "leave":
            continue
        run.work_on(bench.chance.uniform(0, _LONGEST_RUN_S / len(runs)))
        if "stop" in fate:
            run.send(signal.SIGSTOP)
            others = [other for other in runs if other is not run]
            for other in others:
                other.work_on(_LONGEST_RUN_S / len(others))
            run.send(signal.SIGCONT)
        if "kill" in fate:
            run.kill()


def _spoil_wire(bench: Bench) -> None:
    """Faults of the wire, at both servers."""
    for server in ("store", "bigquery"):
        for _ in range(bench.chance.randrange(4)):
            fault = PASSING[bench.chance.choice(list(PASSING))]
            skip = bench.chance.randrange(_MOST_SKIP)
            proxy_of(bench, server).add(replace(fault, skip=skip, seconds=min(fault.seconds, 3)))


def _spoil_jobs(bench: Bench) -> None:
    """Jobs that fail, are refused, or last."""
    for _ in range(bench.chance.randrange(4)):
        reason = bench.chance.choice(_REASONS)
        is_refused = reason is not None and bench.chance.random() < 0.3
        fault = JobFault(
            reason,
            at="insert" if is_refused else "job",
            project=_project(bench),
            skip=bench.chance.randrange(10),
            times=bench.chance.randrange(1, 3),
            lasts_s=0.0 if is_refused else bench.chance.uniform(0, _LONGEST_JOB_S),
        )
        bench.cloud.bigquery.add_fault(fault)


def _project(bench: Bench) -> str:
    if not isinstance(bench.place, BigQueryPlace):
        raise TypeError("this place has no jobs")
    return bench.place.project
