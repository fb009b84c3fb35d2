"""What goes wrong inside a run: values that travel to its process and change it from within."""

from __future__ import annotations

import itertools
import os
import signal
from dataclasses import dataclass
from typing import Any, Protocol

BEFORE, AFTER = "before", "after"


class Mischief(Protocol):
    """Something to be done in a run's process before it begins."""

    def apply(self) -> None:
        """Does it."""


@dataclass(frozen=True)
class KillAtSql:
    """SIGKILL before or after the `number`-th SQL statement that the DuckDB warehouse executes."""

    number: int
    when: str = BEFORE

    def apply(self) -> None:
        """Puts itself before DuckDB's connection."""
        from pipeline.warehouses import duckdb

        connect = duckdb.connect
        duckdb.connect = lambda path, **options: _Deadly(connect(path, **options), self)


class _Deadly:
    """A connection that kills its process at a statement."""

    def __init__(self, db: Any, fault: KillAtSql) -> None:
        self._db, self._fault = db, fault
        self._numbers = itertools.count(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, sql: str, *values: Any) -> Any:
        """Executes a statement, and maybe dies of it."""
        is_last = next(self._numbers) == self._fault.number
        if is_last and self._fault.when == BEFORE:
            os.kill(os.getpid(), signal.SIGKILL)
        result = self._db.execute(sql, *values)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


@dataclass(frozen=True)
class KillAtShard:
    """SIGKILL once the `number`-th Parquet file is written."""

    number: int

    def apply(self) -> None:
        """Counts what `pyarrow.parquet` writes."""
        from pyarrow import parquet

        as_ever, written = parquet.write_table, itertools.count(1)

        def write_table(*words: Any, **options: Any) -> None:
            as_ever(*words, **options)
            if next(written) == self.number:
                os.kill(os.getpid(), signal.SIGKILL)

        parquet.write_table = write_table


@dataclass(frozen=True)
class LimitFileSize:
    """No file may grow past so many bytes: a full disk, without one."""

    most_bytes: int

    def apply(self) -> None:
        """Sets the limit; Python ignores the signal, so writes fail."""
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (self.most_bytes, self.most_bytes))


@dataclass(frozen=True)
class SmallCheckpoints:
    """The batch log is summed up and cleared after every `closed` batches."""

    closed: int = 1

    def apply(self) -> None:
        """Replaces the default."""
        from pipeline.batchlog.log import BatchLog

        BatchLog.__init__.__defaults__ = (self.closed,)


@dataclass(frozen=True)
class SpillToDisk:
    """What is staged for the cloud goes by a file on this machine, however small it is."""

    def apply(self) -> None:
        """Lowers what may stay in memory."""
        from pipeline import gcp

        gcp._MEMORY_BYTES = 1


@dataclass(frozen=True)
class RandomJobIds:
    """A defect planted on purpose: load jobs get new ids at every run."""

    def apply(self) -> None:
        """Makes the ids random."""
        import uuid

        from pipeline.warehouses.bigquery_loads import Loader

        Loader._job_id = lambda *_: f"px_{uuid.uuid4().hex}"  # type: ignore[method-assign]


@dataclass(frozen=True)
class OverwrittenLog:
    """A defect planted on purpose: the batch log's objects are made without a precondition."""

    def apply(self) -> None:
        """Drops `if_generation_match=0`."""
        from google.cloud import storage

        as_ever = storage.Blob.upload_from_string

        def upload(blob: Any, *words: Any, **options: Any) -> None:
            options.pop("if_generation_match", None)
            as_ever(blob, *words, **options)

        storage.Blob.upload_from_string = upload


DEFECTS: dict[str, tuple[Mischief, ...]] = {
    "random-job-ids": (RandomJobIds(),),
    "overwritten-log": (OverwrittenLog(),),
    "random-job-ids-overwritten-log": (RandomJobIds(), OverwrittenLog()),
}
"""Defects that can be planted, to see the matrix find them."""
