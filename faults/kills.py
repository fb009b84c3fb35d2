"""Runs that are killed: at each numbered step, at random moments, up to three times in a row."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

from emulators.fault_proxy import FaultProxy
from emulators.faults import KILL, Fault
from faults.bench import DONE, INCOMPLETE, KILLED, SETUP, Bench, killed_by
from faults.mischief import KillAtShard, KillAtSql, Mischief, SmallCheckpoints

MOST_STEPS = 400
"""More steps than any run has."""
KILLS_A_SCENARIO = 25
ALONE = ("--no_wait_until_finish",)
"""Has Beam's job end its batches by itself."""
_IN_A_ROW = 3
_HALF = 0.5
_WORKERS_S = 4.0
_ORPHANS_S = 20.0


def at_every_statement(bench: Bench, when: str, stride: int) -> None:
    """SIGKILL at each SQL statement in turn, until a run has no more of them."""
    bench.add()
    for number in range(1, MOST_STEPS, stride):
        ended = bench.load(KillAtSql(number, when), allowed=(KILLED, DONE))
        bench.settle()
        if not ended.was_killed:
            return
        bench.add(1)
    bench.wonder("a run has no end of statements")


def at_every_shard(bench: Bench, stride: int) -> None:
    """SIGKILL after each Parquet file that is written."""
    bench.add(4)
    for number in range(1, MOST_STEPS, stride):
        ended = bench.load(KillAtShard(number), allowed=(KILLED, DONE))
        bench.settle()
        if not ended.was_killed:
            return
        bench.add(4)
    bench.wonder("a run has no end of shards")


def at_every_request(
    bench: Bench, server: str, when: str, stride: int, options: Sequence[str] = ()
) -> None:
    """SIGKILL at each request to a server in turn, until a run goes through."""
    proxy = proxy_of(bench, server)
    bench.add()
    for number in range(1, MOST_STEPS, stride):
        proxy.add(Fault(KILL, skip=number - 1, when=when))
        ended = bench.load(SmallCheckpoints(2), allowed=(KILLED, DONE), options=options)
        bench.cloud.calm()
        bench.settle()
        if not ended.was_killed:
            return
        bench.add(1 + number % 2)
    bench.wonder("a run has no end of requests")


def at_one_request(bench: Bench, server: str, when: str, number: int) -> None:
    """SIGKILL at one request of the first run of all, if there are so many."""
    bench.add()
    proxy_of(bench, server).add(Fault(KILL, skip=number - 1, when=when))
    bench.load(allowed=(KILLED, DONE))
    bench.cloud.calm()
    bench.settle()


def proxy_of(bench: Bench, server: str) -> FaultProxy:
    """The proxy before "store" or "bigquery"."""
    return bench.cloud.store_proxy if server == "store" else bench.cloud.bigquery_proxy


def at_random(bench: Bench, kills: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Kills at random moments, and a run that ends after at most three in a row.

    Every tenth run is the installed command; logs come and grow meanwhile. Into BigQuery every third
    is one whose job ends its batches by itself.
    """
    mischief: tuple[Mischief, ...] = ()
    if bench.place.kind == "bigquery" and bench.chance.random() < 0.5:
        mischief = (SmallCheckpoints(bench.chance.choice((1, 2, 4))),)
    names = bench.add()
    usual_s = bench.usual_s()
    while bench.score.kills < kills:
        names += bench.add(bench.chance.randrange(1, 4))
        if bench.chance.random() < 0.3:
            bench.grow(bench.chance.choice(names))
        for _ in range(bench.chance.randrange(1, _IN_A_ROW + 1)):
            is_alone = bench.place.kind == "bigquery" and bench.chance.random() < 0.33
            options = ALONE if is_alone else ()
            if bench.chance.random() < 0.1:
                kill_command(bench, usual_s, number)
            else:
                after_s = bench.chance.uniform(0, usual_s)
                bench.kill_after(after_s, *mischief, number=number, options=options)
            if bench.chance.random() < 0.15:
                bench.grow(bench.chance.choice(names))
        bench.settle(allowed=(DONE, INCOMPLETE))


def kill_command(bench: Bench, usual_s: float, number: signal.Signals) -> None:
    """Kills the installed command at a random moment of its work."""
    run = bench.start(by_command=True)
    bench.wait_for_work(run)
    run.work_on(bench.chance.uniform(0, usual_s))
    run.send(number)
    bench.end(run, (DONE, INCOMPLETE, killed_by(number)))


def with_workers(bench: Bench, kills: int) -> None:
    """The installed command with two worker processes is killed: they do not outlive it."""
    options = ("--workers", "2")
    bench.add(4)
    bench.load(by_command=True, options=options)
    while bench.score.kills < kills:
        bench.add(4)
        run = bench.start(by_command=True, options=options)
        bench.wait_for_work(run)
        run.work_on(bench.chance.uniform(0, _WORKERS_S))
        run.kill()
        bench.end(run, (DONE, KILLED), may_trace=True)  # workers may speak of their loss
        for pid in run.orphans(_ORPHANS_S):
            bench.wonder(f"the worker process {pid} outlived its run")
        bench.settle()


def unloading(bench: Bench, kills: int) -> None:
    """A log is taken out again, by a command that is killed; the next run loads it anew.

    Killed early it took nothing out: what must be there in the end is the same.
    """
    names = bench.add(3)
    bench.settle()
    run = bench.start(words=bench.place.unload_words(names[0]))
    run.wait_for_begin()
    began = time.monotonic()
    bench.end(run)
    usual_s = time.monotonic() - began
    bench.settle()
    while bench.score.kills < kills:
        words = bench.place.unload_words(bench.chance.choice(names))
        for _ in range(bench.chance.randrange(1, _IN_A_ROW + 1)):
            bench.kill_after(bench.chance.uniform(0, usual_s), words=words, allowed=(SETUP,))
        if bench.chance.random() < _HALF:
            bench.load(words=words, allowed=(DONE, SETUP))  # it may be out by now
        names += bench.add(1)
        bench.settle()
