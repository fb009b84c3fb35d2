"""The matrix: which faults are tried, on which warehouses, how often."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from emulators.faults import AFTER, BEFORE, STOP, Fault
from faults import jobs, kills, machine, objects, owner, rivals, soup, wire
from faults.bench import DONE, INCOMPLETE, SETUP, Bench

DUCKDB, BIGQUERY = "duckdb", "bigquery"
SERVERS = ("store", "bigquery")
FIRST_RUN_REQUESTS = 46
_SOUPS = 24
DEDUPES = ("view", "merge", "off")

Scenario = Callable[[Bench], None]

_STOPPED_AT_JOBS = partial(
    rivals.stand_still,
    server="bigquery",
    at=Fault(STOP, method="POST", path=r"/jobs\b"),
    clears=False,
)
"""The request that puts a job in, of a run whose batch a rival finds open."""


@dataclass(frozen=True)
class Case:
    """A scenario of a fault, to be tried on a fresh place."""

    fault: str
    warehouse: str
    scenario: Scenario
    dedupe: str = "view"
    group: str = ""


def all_cases(most_kills: int) -> list[Case]:
    """The whole matrix."""
    groups = {
        "killed at each step": [*_steps(), *_requests_of_the_first_run()],
        "killed at random": _random_kills(most_kills),
        "raced, stopped, late": _rivals(),
        "the wire": _wire(),
        "BigQuery's jobs": _jobs(),
        "log objects": _objects((DUCKDB, BIGQUERY)),
        "the machine": _machine(),
        "people": _owner(),
        "all of it at once": _soup(),
    }
    return [replace(case, group=group) for group, cases in groups.items() for case in cases]


def quick_cases() -> list[Case]:
    """A share of it that takes about a minute: something of each kind."""
    still = partial(
        rivals.stand_still, server="store", at=Fault(STOP, when=AFTER), stride=40, clears=True
    )
    return [
        Case("SIGKILL at SQL statements", DUCKDB, partial(kills.at_every_statement, when=BEFORE, stride=29)),
        Case("SIGKILL at random", DUCKDB, partial(kills.at_random, kills=3)),
        Case("SIGKILL at random", BIGQUERY, partial(kills.at_random, kills=3)),
        Case("SIGKILL at requests to the store", BIGQUERY, partial(kills.at_every_request, server="store", when=AFTER, stride=26)),
        Case("SIGKILL at requests to BigQuery", BIGQUERY, partial(kills.at_every_request, server="bigquery", when=AFTER, stride=14), "merge"),
        Case("SIGKILL at requests to the store, nobody waiting", BIGQUERY, partial(kills.at_every_request, server="store", when=AFTER, stride=34, options=kills.ALONE)),
        Case("SIGSTOP, the log cleared meanwhile, SIGCONT", BIGQUERY, still),
        Case("SIGSTOP at a load job, a rival, SIGCONT", BIGQUERY, partial(_STOPPED_AT_JOBS, stride=4)),
        Case("4 launchers at once", DUCKDB, partial(rivals.launch_at_once, launchers=4, rounds=1)),
        Case("4 launchers at once", BIGQUERY, partial(rivals.launch_at_once, launchers=4, rounds=1)),
        Case("many passing faults of the wire", BIGQUERY, partial(wire.many_at_random, rounds=1)),
        Case("changed bytes", DUCKDB, objects.changed),
        Case("changed bytes", BIGQUERY, objects.changed),
    ]  # fmt: skip


def _steps() -> Iterator[Case]:
    """Each numbered step."""
    for when in (BEFORE, AFTER):
        statements = partial(kills.at_every_statement, when=when, stride=1)
        yield Case("SIGKILL at every SQL statement", DUCKDB, statements)
        for server, told in zip(SERVERS, ("the store", "BigQuery"), strict=True):
            requests = partial(kills.at_every_request, server=server, when=when, stride=1)
            yield Case(f"SIGKILL at every request to {told}", BIGQUERY, requests)
            if server == "bigquery":
                yield Case(f"SIGKILL at every request to {told}", BIGQUERY, requests, "merge")
            alone = partial(requests, options=kills.ALONE)
            yield Case(f"SIGKILL at every request to {told}, nobody waiting", BIGQUERY, alone)
    for warehouse in (DUCKDB, BIGQUERY):
        shards = partial(kills.at_every_shard, stride=1)
        yield Case("SIGKILL at every shard", warehouse, shards)


def _requests_of_the_first_run() -> Iterator[Case]:
    """Each request of a run that finds nothing there: datasets and tables are made."""
    for number in range(1, FIRST_RUN_REQUESTS):
        when = (BEFORE, AFTER)[number % 2]
        first = partial(kills.at_one_request, server="bigquery", when=when, number=number)
        yield Case("SIGKILL at every request of a first run", BIGQUERY, first)


def _random_kills(most_kills: int) -> Iterator[Case]:
    for warehouse in (DUCKDB, BIGQUERY):
        for number, first in enumerate(range(0, most_kills, kills.KILLS_A_SCENARIO)):
            some = min(kills.KILLS_A_SCENARIO, most_kills - first)
            dedupe = DEDUPES[number % len(DEDUPES)]
            yield Case("SIGKILL at random", warehouse, partial(kills.at_random, kills=some), dedupe)
        for number_ in (signal.SIGTERM, signal.SIGINT):
            others = partial(kills.at_random, kills=max(most_kills // 20, 1), number=number_)
            yield Case(f"{number_.name} at random", warehouse, others)
        unloading = partial(kills.unloading, kills=max(most_kills // 20, 1))
        yield Case("SIGKILL while logs are unloaded", warehouse, unloading)
        workers = partial(kills.with_workers, kills=max(most_kills // 60, 1))
        yield Case("SIGKILL with two worker processes", warehouse, workers)


def _rivals() -> Iterator[Case]:
    for warehouse in (DUCKDB, BIGQUERY):
        for launchers in (2, 4, 8):
            launch = partial(rivals.launch_at_once, launchers=launchers, rounds=6)
            yield Case(f"{launchers} launchers at once", warehouse, launch)
    yield Case(
        "SIGSTOP, a rival, SIGCONT", DUCKDB, partial(rivals.stand_still_at_random, rounds=12)
    )
    for server in SERVERS:
        for when in (BEFORE, AFTER):
            at = Fault(STOP, when=when)
            plain = partial(rivals.stand_still, server=server, at=at, stride=6, clears=False)
            yield Case("SIGSTOP, a rival, SIGCONT", BIGQUERY, plain)
            clears = partial(rivals.stand_still, server=server, at=at, stride=5, clears=True)
            yield Case("SIGSTOP, the log cleared meanwhile, SIGCONT", BIGQUERY, clears)
        yield Case("a dead run's request comes late", BIGQUERY, partial(rivals.come_late, server=server, stride=4))  # fmt: skip

    yield Case(
        "SIGSTOP at a load job, a rival, SIGCONT", BIGQUERY, partial(_STOPPED_AT_JOBS, stride=1)
    )


def _wire() -> Iterator[Case]:
    strides = {"store": 4, "bigquery": 3}
    for kind in wire.PASSING:
        for server in SERVERS:
            stride = 9 if kind == "hang" else strides[server]
            once = partial(wire.once_at_every_request, server=server, kind=kind, stride=stride)
            yield Case(f"the wire: {kind}", BIGQUERY, once)
    yield Case("many passing faults of the wire", BIGQUERY, partial(wire.many_at_random, rounds=15))
    for server in SERVERS:
        down = partial(wire.down_from_a_request_on, server=server, stride=3)
        yield Case("a service goes down in the middle", BIGQUERY, down)
    quota = partial(wire.refused_for_good, status=403, reason="quotaExceeded")
    yield Case("quota: 403 to inserts", BIGQUERY, quota)
    rate = partial(wire.refused_for_good, status=403, reason="rateLimitExceeded")
    yield Case("rate limit: 403 to inserts", BIGQUERY, rate)


def _jobs() -> Iterator[Case]:
    for fault, reason, allowed, at in (
        ("job fails: backendError", "backendError", (DONE,), "job"),
        ("job fails: invalid", "invalid", (INCOMPLETE, SETUP), "job"),
        ("job fails: quotaExceeded", "quotaExceeded", (DONE, INCOMPLETE, SETUP), "job"),
        ("job is refused: quotaExceeded", "quotaExceeded", (INCOMPLETE, SETUP), "insert"),
    ):
        fail = partial(jobs.fail, reason=reason, allowed=allowed, at=at)
        yield Case(fault, BIGQUERY, fail)
    yield Case("job fails: backendError", BIGQUERY, partial(jobs.fail, reason="backendError", allowed=(DONE,), times=2), "merge")  # fmt: skip
    for end in (None, "backendError", "invalid"):
        outlive = partial(jobs.outlive, reason=end)
        yield Case("job ends after its caller gave up", BIGQUERY, outlive)
    yield Case("SIGKILL while jobs last, a rival", BIGQUERY, partial(jobs.kill_while_they_last, rounds=9))  # fmt: skip


def _objects(warehouses: Sequence[str]) -> Iterator[Case]:
    told = {
        "the same log under another name": objects.copied,
        "one log under two names at once": objects.copied_at_once,
        "a log is renamed": objects.renamed,
        "the same bytes again": objects.uploaded_again,
        "logs that grow": objects.grown,
        "a log a day late, with repeats": objects.late,
        "changed bytes": objects.changed,
    }
    for warehouse in warehouses:
        for fault, scenario in told.items():
            yield Case(fault, warehouse, scenario)
    yield Case("a log vanishes before it is read", BIGQUERY, objects.vanished)
    yield Case("a log vanishes as it is read", BIGQUERY, objects.vanished_in_the_middle)
    for dedupe in DEDUPES[1:]:
        yield Case("a log a day late, with repeats", BIGQUERY, objects.late, dedupe)


def _machine() -> Iterator[Case]:
    yield Case("full disk", DUCKDB, machine.full_disk)
    yield Case("full disk as the file is made", DUCKDB, machine.full_at_first)
    yield Case("full disk", BIGQUERY, machine.full_spill)
    yield Case("files may not grow", DUCKDB, machine.limited_files)
    for warehouse in (DUCKDB, BIGQUERY):
        yield Case("clocks 400 days apart", warehouse, machine.clock_between_runs)
        yield Case("clock jumps 400 days in a run", warehouse, machine.clock_within_runs)
        yield Case("logs from the future wait", warehouse, machine.young_logs)


def _owner() -> Iterator[Case]:
    for warehouse in (DUCKDB, BIGQUERY):
        yield Case("a secret is rotated", warehouse, owner.rotated_secret)
        yield Case("a column is added", warehouse, owner.added_column)
    yield Case("a destination is taken away", DUCKDB, owner.taken_table)
    for whole, told in ((False, "tables are"), (True, "datasets are")):
        removed = partial(owner.removed_before_load, whole_dataset=whole)
        yield Case(f"{told} removed in the middle", BIGQUERY, removed)
        yield Case(f"{told} removed in the middle", BIGQUERY, removed, "merge")
    places: tuple[tuple[str | None, str | None, str], ...] = (
        ("news", "pageviews", "write"),
        ("news", None, "all"),
        ("pixelship", None, "write"),
        (None, None, "all"),
    )
    for dataset, table, what in places:
        withdrawn = partial(owner.withdrawn, dataset=dataset, table=table, what=what)
        yield Case("permission is withdrawn in the middle", BIGQUERY, withdrawn)


def _soup() -> Iterator[Case]:
    for number in range(_SOUPS):
        dedupe = DEDUPES[number % len(DEDUPES)]
        yield Case("rivals, kills, stops, the wire, jobs", BIGQUERY, partial(soup.stir, rounds=6), dedupe)  # fmt: skip
