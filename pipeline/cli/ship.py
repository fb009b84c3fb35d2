"""`pixelship ship`: rotated logs into an object store."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.group import EXIT_INCOMPLETE
from pipeline.cli.text import printable_line
from pipeline.errors import SetupError

if TYPE_CHECKING:
    from pipeline.ship.contract import Order, Report

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 1 << 20, "GiB": 1 << 30}  # fmt: skip


def _in(
    units: dict[str, int],
) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    """Reads an option's number with a unit, such as `24h`, into seconds or bytes."""
    folded = {unit.lower(): value for unit, value in units.items()}

    def read(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
        if text is None:
            return None
        found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?) ?([A-Za-z]*)", text)
        if found is None or found[2].lower() not in folded:
            known = ", ".join(filter(None, units))
            raise click.BadParameter(f"{text!r} is no number with one of the units {known}.")
        return float(found[1]) * folded[found[2].lower()]

    return read


@click.command()
@click.option("--from", "folder", required=True, metavar="DIR", type=click.Path(path_type=Path), help="The folder of the logs.")  # fmt: skip
@click.option("--to", "url", metavar="URL", help="gs://BUCKET/FOLDER, or a folder of this machine.")
@click.option("--live", multiple=True, default=("pixelship.log",), show_default=True, metavar="NAME", help="A log that nginx is writing; repeatable. It is never taken; NAME.* and NAME-* are.")  # fmt: skip
@click.option("--pattern", "patterns", multiple=True, metavar="GLOB", help="Names to take, in place of those; repeatable.")  # fmt: skip
@click.option("--host", default="", metavar="NAME", help="Begins the objects' names; this machine's name by default.")  # fmt: skip
@click.option("--keep", "keep_s", default="24h", show_default=True, metavar="TIME", callback=_in(_SECONDS), help="Remove a log so long after the store confirmed it.")  # fmt: skip
@click.option("--max-disk", "most_disk_bytes", default="20GB", show_default=True, metavar="SIZE", callback=_in(_BYTES), help="What waiting and kept logs may take.")  # fmt: skip
@click.option("--drop-oldest", "drops_oldest", is_flag=True, help="Past that, LOSE the oldest logs that are not shipped.")  # fmt: skip
@click.option("--settle", "settle_s", metavar="TIME", callback=_in(_SECONDS), help="Leave logs alone that were written so shortly ago; 5s, or 5m where processes cannot be seen.")  # fmt: skip
@click.option("--rotate", is_flag=True, help="First rotate the live log and signal nginx.")
@click.option("--nginx-pid", default="/run/nginx.pid", show_default=True, metavar="FILE", type=click.Path(path_type=Path), help="With --rotate: nginx's pid file.")  # fmt: skip
@click.option("--once", is_flag=True, help="One run (the default).")
@click.option(
    "--watch",
    "watch_s",
    metavar="TIME",
    callback=_in(_SECONDS),
    help="Run again and again, with such a pause.",
)
@click.option("--status", "is_status", is_flag=True, help="Say how things stand, and change nothing.")  # fmt: skip
@click.option("--metrics", type=click.Path(path_type=Path), metavar="FILE", help="Write the figures for node_exporter's textfile collector.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, one line a run, and nothing else.")  # fmt: skip
def ship(
    folder: Path,
    url: str | None,
    watch_s: float | None,
    metrics: Path | None,
    *,
    once: bool,
    rotate: bool,
    nginx_pid: Path,
    is_status: bool,
    as_json: bool,
    **others: Any,
) -> None:
    """Ship rotated logs into an object store: whole, each once.

    A log is taken when nobody writes to it any more, compressed with zstd, and removed some time
    after the store confirmed it. Kill it at any moment; the next run goes on.

    \b
    Exit status:
      0  all that could be taken is in the store
      1  a log failed, the disk budget is passed, or logs were dropped
      2  wrong usage or set-up; no log is lost
      3  the store fails or does not answer; the logs wait here
    """
    from pipeline.ship.shipping import ship as run
    from pipeline.ship.shipping import standing
    from pipeline.ship.spool import Spool
    from pipeline.ship.stores import store_of

    order = _order(folder, nginx_pid if rotate else None, **others)
    spool = Spool(folder)
    if is_status:
        report = standing(order, spool)
        _tell(report, metrics, as_json=as_json)
        raise SystemExit(0 if report.is_clean else EXIT_INCOMPLETE)
    if url is None:
        raise SetupError("Say where to ship the logs: --to gs://BUCKET/FOLDER.")
    if once and watch_s is not None:
        raise SetupError("Say --once or --watch, not both.")
    store = store_of(url)
    with spool.locked():
        while True:
            report = run(order, store, spool)
            _tell(report, metrics, as_json=as_json)
            if watch_s is None:
                break
            if report.trouble:
                click.echo(f"Error: {printable_line(report.trouble)}", err=True)
            time.sleep(watch_s)
    if report.trouble:
        raise report.trouble
    if not report.is_clean:
        raise SystemExit(EXIT_INCOMPLETE)


def _order(folder: Path, nginx_pid: Path | None, **others: Any) -> Order:
    from pipeline.ship.contract import Order
    from pipeline.ship.names import host_of

    others["host"] = host_of(others["host"] or socket.gethostname())
    others["most_disk_bytes"] = int(others["most_disk_bytes"])
    for name in others["live"]:
        if "/" in name or not name:
            raise SetupError(f"--live {name!r}: give the name alone; --from names the folder.")
    return Order(folder, nginx_pid=nginx_pid, **others)


def _tell(report: Report, metrics: Path | None, *, as_json: bool) -> None:
    """Prints a report, and writes it where metrics are read."""
    if metrics:
        from pipeline.ship.metrics import write_metrics

        write_metrics(metrics, report, time.time())
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=False))
        return
    for line in _lines(report):
        click.echo(printable_line(line))


def _lines(report: Report) -> list[str]:
    """A report in words; the last line sums it up."""
    from pipeline.ship.shipping import UNSEEN_SETTLE_S

    lines = [f"Failed: {each.name}: {each.why}" for each in report.failed]
    lines += [f"LOST: {name}: removed unshipped, for --drop-oldest" for name in report.dropped]
    if report.waiting and not report.sees_writers:
        lines.append(
            "Note: not every process of this machine can be looked into, so a log is taken for closed "
            f"when it rested for {UNSEEN_SETTLE_S:.0f} s, or as --settle says; root sees all of them."
        )
    if report.is_over_budget:
        lines.append(
            f"OVER BUDGET: {report.disk_bytes:,} bytes wait on this disk, more than --max-disk "
            f"({report.most_disk_bytes:,}). Nothing unshipped is removed unless --drop-oldest is given."
        )
    sizes = f" ({report.log_bytes:,} bytes as {report.stored_bytes:,})" if report.shipped else ""
    age = f", the oldest for {report.oldest_s:,.0f} s" if report.waiting else ""
    lines.append(
        f"Shipped {report.shipped:,}{sizes}; waiting {report.waiting:,}{age}; "
        f"kept {report.kept:,}; failed {len(report.failed):,}."
    )
    return lines
