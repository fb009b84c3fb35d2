"""Tries the cases of the matrix, several at a time, and adds up what came of them."""

from __future__ import annotations

import itertools
import queue
import tempfile
import threading
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
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
        clouds = stack.enter_context(closing(_Clouds(lanes if is_cloudy else 0)))
        pool = stack.enter_context(ThreadPoolExecutor(lanes))

        def work(number: int, case: Case, own_seed: int) -> tuple[Case, Score]:
            return case, _try(case, folder / f"{number:04d}", clouds, own_seed, defects)

        try:
            seeds = _seeds(seed, cases)
            done = [pool.submit(work, *each) for each in zip(itertools.count(), cases, seeds)]
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
    """The emulators, one set for each case at a time; one that broke is replaced."""

    def __init__(self, count: int) -> None:
        self._free: queue.Queue[Cloud] = queue.Queue()
        self._stack = ExitStack()
        self._lock = threading.Lock()
        for _ in range(count):
            self._free.put(self._make())

    def _make(self) -> Cloud:
        with self._lock:
            store = self._stack.enter_context(ObjectStore())
            cloud = Cloud(store, self._stack.enter_context(BigQuery(store.root)))
            self._stack.callback(cloud.close)
            return cloud

    @contextmanager
    def one(self) -> Iterator[Cloud]:
        """A set that nobody else uses meanwhile."""
        cloud = self._free.get()
        try:
            yield cloud
        finally:
            try:
                cloud.calm()
            except OSError:
                cloud = self._make()
            self._free.put(cloud)

    def close(self) -> None:
        """Stops all of them."""
        self._stack.close()


def _seeds(seed: int, cases: Sequence[Case]) -> Iterator[int]:
    """The same for the same case at every run, whichever other faults are tried."""
    tried: Counter[Row] = Counter()
    for case in cases:
        tried[_row(case)] += 1
        told = f"{seed} {case.fault} {case.warehouse} {tried[_row(case)]}"
        yield zlib.crc32(told.encode()) & 0xFFFFFF


def _try(
    case: Case, folder: Path, clouds: _Clouds, seed: int, defects: Sequence[Mischief]
) -> Score:
    """Tries a case on a place of its own."""
    if case.warehouse != BIGQUERY:
        return _score(case, Bench(DuckDBPlace(folder), seed, defects))
    with clouds.one() as cloud:
        return _score(case, Bench(BigQueryPlace(folder, cloud, case.dedupe), seed, defects))


def _score(case: Case, bench: Bench) -> Score:
    for step in (partial(case.scenario, bench), bench.close):
        try:
            step()
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            bench.wonder(f"the scenario broke off: {error!r} ({where})")
    return bench.score
