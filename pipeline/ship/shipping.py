"""The way of a log: taken, closed, packed, sent, confirmed, kept a while, removed.

Every step may be the last one of a process, and bears being done again: names follow from content,
nothing is overwritten, and nothing is removed before what takes its place is on the disk or confirmed.
"""

from __future__ import annotations

import errno
import fnmatch
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from pipeline.errors import ServiceError, SetupError
from pipeline.ship.contract import Failure, Order, Report
from pipeline.ship.names import is_content_of
from pipeline.ship.pack import DamagedError, content_hash, log_bytes_of, pack
from pipeline.ship.rotate import RotationError, nginx_process, reopen_logs
from pipeline.ship.spool import Spool, Waiting, disk_bytes_of
from pipeline.ship.stores import OtherContentError, Store
from pipeline.ship.writers import Writers, find_writers

SETTLE_S = 5.0
UNSEEN_SETTLE_S = 300.0
"""Where processes of others cannot be looked into, a log is taken for closed after so long a rest."""
_PATIENCE_S = 20.0
"""For how long a run waits for a log to be closed; longer by what it must rest."""
_POLL_S = 0.05
_MOST_POLL_S = 1.0
_MEMORY_BYTES = 1 << 26
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def ship(order: Order, store: Store, spool: Spool) -> Report:
    """One run over a folder, whose spool the caller has locked. Raises SetupError for the folder."""
    report = Report(most_disk_bytes=order.most_disk_bytes)
    _rotate(order, spool, report)
    _take(order, spool, report)
    _send_all(spool, store, report)
    for log in _closed(order, spool, report):
        _pack(order, log, spool, store, report)
        _send_all(spool, store, report)
    _remove(order, spool, report)
    _keep_to_budget(order, spool, report)
    _measure(order, spool, report)
    return report


def standing(order: Order, spool: Spool) -> Report:
    """How things stand; changes nothing. Raises SetupError for the folder."""
    report = Report(most_disk_bytes=order.most_disk_bytes)
    report.sees_writers = find_writers().sees_all
    _measure(order, spool, report)
    return report


# Taken


def _rotate(order: Order, spool: Spool, report: Report) -> None:
    """Takes the live logs, and has nginx begin new ones.

    It is told even where no log was there to take: a run that was killed may have taken it.
    """
    if order.nginx_pid is None:
        return
    try:
        process = nginx_process(order.nginx_pid)
        for log in (order.folder / name for name in order.live):
            if log.is_file() and not log.is_symlink() and log.stat().st_size:
                _take_one(log, spool, report)
        reopen_logs(process)
    except RotationError as error:
        report.failed.append(Failure(", ".join(order.live), str(error)))


def _take(order: Order, spool: Spool, report: Report) -> None:
    """Moves rotated logs where nobody renames, compresses or removes them."""
    for log in _rotated(order):
        _take_one(log, spool, report)


def _take_one(log: Path, spool: Spool, report: Report) -> None:
    try:
        spool.take(log)
    except OSError as error:
        report.failed.append(Failure(log.name, f"cannot be taken: {error.strerror}"))


def _rotated(order: Order) -> list[Path]:
    """The logs to take, not yet taken. Links and hidden files are no logs."""
    patterns = order.patterns or tuple(f"{name}{mark}*" for name in order.live for mark in ".-")
    try:
        return sorted(
            path
            for path in order.folder.iterdir()
            if not path.name.startswith(".")
            and path.name not in order.live
            and any(fnmatch.fnmatchcase(path.name, pattern) for pattern in patterns)
            and path.is_file()
            and not path.is_symlink()
        )
    except OSError as error:
        raise SetupError(f"{order.folder} cannot be read: {error.strerror}.") from None


# Closed


def _closed(order: Order, spool: Spool, report: Report) -> Iterator[Waiting]:
    """Taken logs that nobody writes to any more, as they come to be so; waits a while for the rest.

    A log counts as closed when no process holds it open for writing, it rested, and two looks found
    it the same.
    """
    looks: dict[Path, tuple[int, int]] = {}
    done: set[Path] = set()
    deadline = None
    pause_s = _POLL_S
    while waiting := [log for log in spool.taken() if log.path not in done]:
        writers = find_writers()
        report.sees_writers = writers.sees_all
        settle_s = _settle_s(order, writers)
        if deadline is None:
            deadline = time.monotonic() + _PATIENCE_S
        rests_s = []
        for log in waiting:
            try:
                status = log.path.lstat()
            except FileNotFoundError:  # a person took it away
                continue
            look = (status.st_size, status.st_mtime_ns)
            is_open = (status.st_dev, status.st_ino) in writers.files
            rests_s.append(0.0 if is_open else _rest_s(status.st_mtime, settle_s))
            if is_open or rests_s[-1]:
                looks.pop(log.path, None)
            elif looks.get(log.path) == look:
                done.add(log.path)
                yield log
            else:
                looks[log.path] = look
        if time.monotonic() + min(rests_s, default=0.0) > deadline:
            return
        if done.issuperset(log.path for log in waiting):
            continue
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _MOST_POLL_S)


def _settle_s(order: Order, writers: Writers) -> float:
    if order.settle_s is not None:
        return order.settle_s
    return SETTLE_S if writers.sees_all else UNSEEN_SETTLE_S


def _rest_s(written_at: float, settle_s: float) -> float:
    """How long a log must still rest. A time to come is a clock's mistake, not a reason to wait."""
    age_s = time.time() - written_at
    return settle_s - age_s if 0 <= age_s < settle_s else 0.0


# Packed


def _pack(order: Order, log: Waiting, spool: Spool, store: Store, report: Report) -> None:
    """Compresses a log into `ready`, and removes it then.

    On a full disk, what the store has already makes room; if that does not do, the log is sent without
    being written to this disk first.
    """
    try:
        if not log.path.stat().st_size:
            log.path.unlink()
        elif not _has_room(partial(_pack_on_disk, order, log, spool)):
            report.removed += _make_room(spool)
            if not _has_room(partial(_pack_on_disk, order, log, spool)):
                _send_unpacked(order, log, store, report)
    except DamagedError as error:
        report.failed.append(Failure(log.name, f"{error} ({log.path})"))
    except OSError as error:
        if not log.path.exists():  # a person took it away
            return
        is_full = error.errno in _FULL
        why = "the disk is full" if is_full else f"it cannot be compressed: {error.strerror}"
        report.failed.append(Failure(log.name, f"{why}; it waits as it is"))


def _has_room(write: Callable[[], None]) -> bool:
    """Writes; whether the disk had room for it. Raises DamagedError, OSError."""
    try:
        write()
    except OSError as error:
        if error.errno not in _FULL:
            raise
        return False
    return True


def _pack_on_disk(order: Order, log: Waiting, spool: Spool) -> None:
    with spool.packing() as sink:
        packed = pack(log.path, sink, order.host)
        _see_unchanged(log)
        spool.keep(sink, packed.name, log.written_at)
    log.path.unlink()


def _send_unpacked(order: Order, log: Waiting, store: Store, report: Report) -> None:
    """Sends a log from memory (much of it: from the system's folder of temporary files)."""
    with tempfile.SpooledTemporaryFile(_MEMORY_BYTES) as buffer:
        sink = cast(BinaryIO, buffer)
        packed = pack(log.path, sink, order.host)
        _see_unchanged(log)
        if report.trouble or not _send(sink, packed.name, store, report):
            raise OSError(errno.ENOSPC, "the disk is full")
    log.path.unlink()


def _see_unchanged(log: Waiting) -> None:
    if log.path.stat().st_mtime != log.written_at:
        raise DamagedError("was written to while it was read")


def _make_room(spool: Spool) -> int:
    """Removes all files that the store has; tells how many."""
    shipped = spool.shipped()
    for each in shipped:
        each.path.unlink(missing_ok=True)
    return len(shipped)


# Sent


def _send_all(spool: Spool, store: Store, report: Report) -> None:
    """Sends what is ready, the oldest first. A store that fails as a whole is asked no more."""
    failed = {each.name for each in report.failed}
    for log in spool.ready():
        if report.trouble:
            return
        if log.name in failed:
            continue
        try:
            with log.path.open("rb") as stream:
                is_sent = _send(stream, log.name, store, report)
            if is_sent:
                spool.mark_shipped(log.path, log.name, time.time())
        except OSError as error:
            report.failed.append(Failure(log.name, f"{log.path}: {error.strerror}"))


def _send(stream: BinaryIO, name: str, store: Store, report: Report) -> bool:
    """Whether the store holds a packed log now, and said so."""
    content = content_hash(stream)
    if content is None or not is_content_of(name, content):
        where = getattr(stream, "name", "memory")
        report.failed.append(Failure(name, f"is damaged here, by the disk: move {where} away"))
        return False
    try:
        is_new = store.put(name, stream)
    except OtherContentError as error:
        report.failed.append(Failure(name, f"{error}: look at it; nothing is overwritten"))
        return False
    except (SetupError, ServiceError) as error:
        report.trouble = error
        return False
    report.shipped += 1
    report.found += not is_new
    report.log_bytes += log_bytes_of(stream)
    report.stored_bytes += stream.seek(0, 2)
    return True


# Kept, removed


def _remove(order: Order, spool: Spool, report: Report) -> None:
    """Removes shipped files that were kept long enough."""
    for log in spool.shipped():
        if time.time() - log.written_at >= order.keep_s:
            log.path.unlink(missing_ok=True)
            report.removed += 1


def _keep_to_budget(order: Order, spool: Spool, report: Report) -> None:
    """Removes shipped files early where the spool takes too much; then, if told to, others."""
    excess = spool.disk_bytes() - order.most_disk_bytes
    for log in spool.shipped():
        if excess > 0:
            excess -= disk_bytes_of(log.path)
            log.path.unlink()
            report.removed += 1
    if order.drops_oldest and excess > 0:
        open_files = find_writers().files
        unsent = sorted([*spool.ready(), *spool.taken()], key=lambda log: log.written_at)
        for log in unsent:
            status = log.path.lstat()
            if excess > 0 and (status.st_dev, status.st_ino) not in open_files:
                excess -= disk_bytes_of(log.path)
                log.path.unlink()
                report.dropped.append(log.name)


def _measure(order: Order, spool: Spool, report: Report) -> None:
    """How things stand."""
    unsent = [log.written_at for log in (*spool.ready(), *spool.taken())]
    for path in _rotated(order):
        with suppress(FileNotFoundError):  # a shipper at work took it
            unsent.append(path.stat().st_mtime)
    report.waiting = len(unsent)
    report.oldest_s = max(0.0, time.time() - min(unsent)) if unsent else 0.0
    report.kept = len(spool.shipped())
    report.disk_bytes = spool.disk_bytes()
