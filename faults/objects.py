"""Log objects that come twice, under another name, longer, later, or changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from emulators.faults import DELAY, KILL, Fault
from faults.bench import DONE, INCOMPLETE, KILLED, SERVICE, Bench
from faults.processes import LIMIT_S
from faults.traffic import GZIP, PLAIN, Log


def copied(bench: Bench) -> None:
    """The same bytes under another name: known for a file, quarantined in the cloud."""
    name = _loaded(bench)
    bench.copy(name, "copy.log")
    _expect_quarantine(bench, "copy.log", "same content")


def copied_at_once(bench: Bench) -> None:
    """The same bytes under two names before anything is loaded."""
    name = bench.add(1)[0]
    bench.copy(name, "copy.log")
    ended = bench.load(allowed=_quarantined(bench))
    bench.expect(ended.report.get("lines") == len(bench.log(name).lines), "it was read once")
    bench.settle(allowed=_quarantined(bench), steady=_quarantined(bench)[0])


def renamed(bench: Bench) -> None:
    """A log that was loaded gets another name, as log rotation does."""
    name = _loaded(bench)
    bench.rename(name, "renamed.log.1")
    _expect_quarantine(bench, "renamed.log.1", "same content")


def uploaded_again(bench: Bench) -> None:
    """The same bytes under the same name, anew."""
    name = _loaded(bench)
    bench.place.put(name, bench.log(name).data)
    ended = bench.load()
    bench.expect(ended.report.get("unchanged") == 1, "the log counts as unchanged")
    bench.settle()


def grown(bench: Bench) -> None:
    """Logs that grew, plain and compressed, several times, also while a run was killed."""
    for codec in (PLAIN, GZIP):
        name = bench.put(f"grows.{codec}", replace(bench.traffic.log(), codec=codec))
        bench.settle()
        for _ in range(3):
            bench.grow(name)
            bench.settle()
            bench.grow(name)
            bench.kill_after(bench.chance.uniform(0, 0.5))
            bench.grow(name)
            bench.settle(allowed=(DONE, INCOMPLETE))


def late(bench: Bench) -> None:
    """A log that comes a day late and brings some lines that others had brought before."""
    first = bench.traffic.log(40)
    bench.traffic.skip(timedelta(days=1))
    bench.put("today.log", bench.traffic.log(40))
    bench.settle()
    bench.put("yesterday.log", first)
    bench.settle()
    repeated = [line for line in first.lines if line.data][:15]
    bench.put("repeats.log", Log(((*repeated, *bench.traffic.lines(10)),)))
    bench.kill_after(bench.chance.uniform(0, 0.5))
    bench.settle()


def changed(bench: Bench) -> None:
    """Other bytes under the name of a log that was loaded.

    Log rotation gives names to other bytes, so a file is loaded; an object is quarantined.
    """
    name = _loaded(bench)
    other = bench.traffic.log(30)
    if bench.place.kind == "duckdb":
        bench.put(name, other)
        bench.settle()
        return
    bench.place.put(name, other.data)
    _expect_quarantine(bench, name, "no longer its first ones")
    bench.add()
    bench.load(allowed=(INCOMPLETE, KILLED))
    bench.settle(allowed=(INCOMPLETE,), steady=INCOMPLETE)


def vanished(bench: Bench) -> None:
    """A log is deleted when its batch is planned and not yet read; later it is put back.

    It counts as never seen, which is said; put back, it is new.
    """
    kept, gone = bench.add(2)
    path = f"{gone}.*alt=media"
    bench.cloud.store_proxy.add(Fault(KILL, path=path))
    bench.load(allowed=(KILLED,))
    bench.cloud.calm()
    log = bench.take_away(gone)
    ended = bench.settle(allowed=(INCOMPLETE,))
    faults = [fault["object"] for fault in ended.report.get("faults", ())]
    bench.expect(faults == [bench.place.name(gone)], f"{gone} was gone, and {kept} was not")
    bench.put(gone, log)
    bench.settle()


def vanished_in_the_middle(bench: Bench) -> None:
    """A log is deleted just as it is read: the run may fail; the next one knows what to do."""
    _, gone = bench.add(2)
    proxy = bench.cloud.store_proxy
    proxy.add(Fault(DELAY, path=f"{gone}.*alt=media", seconds=LIMIT_S))
    run = bench.start()
    run.wait_until(lambda: any(proxy.hits()))
    bench.take_away(gone)
    bench.cloud.calm()
    bench.end(run, (INCOMPLETE, SERVICE))
    bench.settle(allowed=(DONE, INCOMPLETE))


def _loaded(bench: Bench) -> str:
    """A log that was loaded."""
    name = bench.add(1)[0]
    bench.settle()
    return name


def _quarantined(bench: Bench) -> tuple[int]:
    return (INCOMPLETE,) if bench.place.kind == "bigquery" else (DONE,)


def _expect_quarantine(bench: Bench, name: str, why: str) -> None:
    """In the cloud an object is quarantined, which is said, with status 1; a file is known."""
    ended = bench.load(allowed=_quarantined(bench))
    said = {each["name"]: each["why"] for each in ended.report.get("quarantined", ())}
    if bench.place.kind == "bigquery":
        bench.expect(why in said.get(bench.place.name(name), ""), f"{name} is quarantined: {why}")
    else:
        bench.expect(not said and not ended.report.get("lines"), f"{name} is known")
    bench.expect(not ended.report.get("batches"), "nothing was loaded")
    bench.settle(allowed=_quarantined(bench), steady=_quarantined(bench)[0])
