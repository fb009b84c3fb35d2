"""Several runs at once; one that stands still while others go on; one whose request comes late."""

from __future__ import annotations

import signal
from dataclasses import replace
from functools import partial

from emulators.fault_proxy import FaultProxy
from emulators.faults import BEFORE, DELAY, STOP, Fault
from faults.bench import DONE, KILLED, SERVICE, SETUP, Bench
from faults.kills import proxy_of
from faults.mischief import SmallCheckpoints
from faults.processes import LIMIT_S, Run, poll

LIMIT_STEPS = 200
_RIVAL_BATCHES = 3


def launch_at_once(bench: Bench, launchers: int, rounds: int) -> None:
    """Runs that start together; in every second round one of them is killed."""
    busy = (DONE,) if bench.place.kind == "bigquery" else (DONE, SETUP)
    for number in range(rounds):
        bench.add(3)
        runs = [bench.start(SmallCheckpoints(2)) for _ in range(launchers)]
        if number % 2:
            victim = bench.chance.choice(runs)
            victim.wait_for_begin()
            victim.work_on(bench.chance.uniform(0, 1))
            victim.kill()
        ended = [bench.end(run, (*busy, KILLED)) for run in runs]
        bench.expect(
            number % 2 or any(each.status == DONE for each in ended), "one of the rivals did it"
        )
        bench.settle()


def stand_still(bench: Bench, server: str, at: Fault, stride: int, clears: bool) -> None:
    """SIGSTOP at each request that fits `at`; rivals finish (and clear the log away: `clears`); SIGCONT."""
    proxy = proxy_of(bench, server)
    tidy = (SmallCheckpoints(1),) if clears else ()
    for skip in range(bench.chance.randrange(stride), LIMIT_STEPS, stride):
        bench.add()
        proxy.add(replace(at, action=STOP, skip=skip, seconds=LIMIT_S))
        victim = bench.start(*tidy)
        if not (
            victim.wait_until(lambda: any(proxy.hits())) and poll(partial(_stands, victim), LIMIT_S)
        ):
            bench.end(victim)
            bench.cloud.calm()
            bench.settle()
            return
        for _ in range(_RIVAL_BATCHES if clears else 1):
            bench.load(*tidy)
            bench.add(1)
        proxy.clear()
        victim.send(signal.SIGCONT)
        bench.end(victim, (DONE, SERVICE))  # its request may be past its time by then
        bench.cloud.calm()
        bench.settle()


def come_late(bench: Bench, server: str, stride: int) -> None:
    """A request held up on its way, whose sender is killed; it arrives when all is done."""
    proxy = proxy_of(bench, server)
    for skip in range(bench.chance.randrange(stride), LIMIT_STEPS, stride):
        bench.add()
        proxy.add(Fault(DELAY, skip=skip, when=BEFORE, seconds=LIMIT_S))
        victim = bench.start(SmallCheckpoints(1))
        is_held = victim.wait_until(lambda: any(proxy.hits()))
        if is_held:
            victim.kill()
        bench.end(victim, (DONE, KILLED))
        if is_held:
            for _ in range(_RIVAL_BATCHES):
                bench.load(SmallCheckpoints(1))
                bench.add(1)
            proxy.clear()
            bench.expect(poll(partial(_is_answered, proxy), LIMIT_S), "the late request arrived")
        bench.cloud.calm()
        bench.settle()
        if not is_held:
            return


def stand_still_at_random(bench: Bench, rounds: int) -> None:
    """SIGSTOP at a random moment, a rival that finds the file busy, SIGCONT."""
    bench.add()
    usual_s = bench.usual_s()
    for _ in range(rounds):
        bench.add()
        victim = bench.start()
        victim.wait_for_begin()
        victim.work_on(bench.chance.uniform(0, usual_s))
        victim.send(signal.SIGSTOP)
        bench.load(allowed=(DONE, SETUP))
        victim.send(signal.SIGCONT)
        bench.end(victim, (DONE, SETUP))
        bench.settle()


def _stands(run: Run) -> bool:
    return run.is_stopped or not run.is_alive


def _is_answered(proxy: FaultProxy) -> bool:
    """Whether the requests that were held up have come to their server."""
    return all(seen.status for seen in proxy.seen() if seen.fault == DELAY)
