"""Tries the cases of the matrix, several at a time, and adds up what came of them."""

from __future__ import annotations

import queue
import tempfile
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from emulators.bigquery import BigQuery
from emulators.object_store import ObjectStore
from faults.bench import Bench, Score
from faults.catalogue import BIGQUERY, Case
from faults.mischief import Mischief
from faults.places import BigQueryPlace, Cloud, DuckDBPlace

Row = tuple[str, str, str]
"""A group of faults, a fault, and a warehouse."""
Told = Callable[[Case, Score], None]


@dataclass
class Results:
    """The scores by fault, and how long all of it took."""

    scores: dict[Row, Score] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def total(self) -> Score:
        """All of them."""
        whole = Score()
        for score in self.scores.values():
            whole.add(score)
        return whole

    def add(self, case: Case, score: Score) -> None:
        """Adds what came of a case."""
        self.scores.setdefault(_row(case), Score()).add(score)

    def by_group(self) -> dict[tuple[str, str], Score]:
        """The scores by group and warehouse."""
        sums: dict[tuple[str, str], Score] = {}
        for (group, _, warehouse), score in self.scores.items():
            sums.setdefault((group, warehouse), Score()).add(score)
        return sums


def _row(case: Case) -> Row:
    return case.group, case.fault, case.warehouse


def run_matrix(
    cases: Sequence[Case], seed: int, lanes: int, told: Told, defects: Sequence[Mischief] = ()
) -> Results:
    """Tries all cases; `told` hears of each that is done. Chance comes from the seed and the case."""
    began = time.monotonic()
    results = Results({_row(case): Score() for case in cases})
    lock = threading.Lock()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pixelship-faults-")))
        is_cloudy = any(case.warehouse == BIGQUERY for case in cases)
        clouds = _Clouds(stack.enter_context(_clouds(lanes if is_cloudy else 0)))
        pool = stack.enter_context(ThreadPoolExecutor(lanes))

        def work(number: int, case: Case) -> tuple[Case, Score]:
            return case, _try(
                case, folder / f"{number:04d}", clouds, _seed(seed, number, case), defects
            )

        try:
            done = [pool.submit(work, number, case) for number, case in enumerate(cases)]
            for future in as_completed(done):
                case, score = future.result()
                with lock:
                    results.add(case, score)
                    told(case, score)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    results.seconds = time.monotonic() - began
    return results


class _Clouds:
    """The emulators, one set for each case at a time."""

    def __init__(self, clouds: Sequence[Cloud]) -> None:
        self._free: queue.Queue[Cloud] = queue.Queue()
        for cloud in clouds:
            self._free.put(cloud)

    @contextmanager
    def one(self) -> Iterator[Cloud]:
        """A set that nobody else uses meanwhile."""
        cloud = self._free.get()
        try:
            yield cloud
        finally:
            cloud.calm()
            self._free.put(cloud)


@contextmanager
def _clouds(count: int) -> Iterator[list[Cloud]]:
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            store = stack.enter_context(ObjectStore())
            cloud = Cloud(store, stack.enter_context(BigQuery(store.root)))
            stack.callback(cloud.close)
            found.append(cloud)
        yield found


def _seed(seed: int, number: int, case: Case) -> int:
    """The same for the same case at every run, whatever else is tried."""
    return zlib.crc32(f"{seed} {number} {case.fault} {case.warehouse}".encode()) & 0xFFFFFF


def _try(
    case: Case, folder: Path, clouds: _Clouds, seed: int, defects: Sequence[Mischief]
) -> Score:
    """Tries a case on a place of its own."""
    if case.warehouse != BIGQUERY:
        return _score(case, Bench(DuckDBPlace(folder), seed, defects))
    with clouds.one() as cloud:
        return _score(case, Bench(BigQueryPlace(folder, cloud, case.dedupe), seed, defects))


def _score(case: Case, bench: Bench) -> Score:
    try:
        case.scenario(bench)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        bench.wonder(
            f"the scenario broke off: {error!r} ({Path(last.filename).name}:{last.lineno})"
        )
    finally:
        bench.close()
    return bench.score
