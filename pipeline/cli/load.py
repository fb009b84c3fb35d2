"""`pixelship load`: the main job."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.group import EXIT_INCOMPLETE
from pipeline.cli.ring import DEFAULT_KEY_FILE, key_ring_of, keys_option
from pipeline.errors import SetupError

if TYPE_CHECKING:
    from pipeline.options import AddressPolicy, Rules
    from pipeline.warehouses.duckdb import DuckDBWarehouse

_FORMATS = ("auto", "nginx-tsv", "nginx-json", "combined")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("logs", metavar="LOG... [BEAM OPTIONS]", nargs=-1, required=True, type=click.UNPROCESSED)  # fmt: skip
@click.option("--to", "warehouse", default="duckdb:pixelship.duckdb", show_default=True, metavar="duckdb:PATH", help="The warehouse.")  # fmt: skip
@click.option("--format", "log_format", default="auto", show_default=True, type=click.Choice(_FORMATS), help="The log format; told from each file's content by default.")  # fmt: skip
@keys_option
@click.option("--path", "paths", multiple=True, metavar="PATH", help="A path that is a pixel's; repeatable. By default /pixel.gif, /i.gif and /r.gif.")  # fmt: skip
@click.option("--trusted-proxy", "proxies", multiple=True, metavar="CIDR", help="A network whose X-Forwarded-For is believed; repeatable.")  # fmt: skip
@click.option("--addresses", default="mask", show_default=True, type=click.Choice(("mask", "keep", "drop")), help="What is stored of visitors' addresses: /24 and /48, all, or nothing.")  # fmt: skip
@click.option("--allow", multiple=True, metavar="GLOB", help="Destinations that may be loaded, such as 'news.*'; repeatable. All by default.")  # fmt: skip
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), metavar="N", help="Worker processes on this machine.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the balance sheet as JSON, and nothing else.")  # fmt: skip
def load(
    logs: tuple[str, ...],
    warehouse: str,
    log_format: str,
    key_file: Path | None,
    workers: int,
    as_json: bool,
    **rules: Any,
) -> None:
    """Load access logs: each verified view once, into the table that its URL names.

    LOG is a file, a glob or a folder; plain, gzip or zstd, whatever its name. Files that were loaded
    before are left alone. Options that Apache Beam knows (such as --runner) are passed to it.

    \b
    Exit status:
      0  all is loaded
      1  something was parked or damaged; the rest is loaded
      2  wrong usage or set-up; nothing was loaded
      3  a defect, or a machine that fails, such as a full disk; running again does no harm
    """
    logging.basicConfig(level=logging.ERROR)
    from pipeline.beam.graph import Launch
    from pipeline.beam.options import separate_beam_options
    from pipeline.cli.balance import LoadProgress, print_balance
    from pipeline.load import Order
    from pipeline.load import load as run_load
    from pipeline.sources import Search

    patterns, beam_options = separate_beam_options(logs)
    if not patterns:
        raise SetupError("Name a log file, a glob or a folder to load.")
    to = _warehouse(warehouse)
    ours = (*to.files, key_file or Path(DEFAULT_KEY_FILE))
    order = Order(
        Search(patterns, ours), _rules(key_file, **rules), log_format, Launch(workers, beam_options)
    )
    with to, LoadProgress() as progress:
        report = run_load(to, order, progress.advance)
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        print_balance(report)
    if not report.is_clean:
        raise SystemExit(EXIT_INCOMPLETE)


def _rules(
    key_file: Path | None,
    paths: tuple[str, ...],
    proxies: tuple[str, ...],
    addresses: AddressPolicy,
    allow: tuple[str, ...],
) -> Rules:
    """The engine's rules; lists that were not given keep their defaults. Raises SetupError."""
    import ipaddress

    from pipeline.options import PIXEL_PATHS, Rules

    for path in paths:
        if not path.startswith("/"):
            raise SetupError(f"--path {path!r} is no path: write it as /pixel.gif.")
    for network in proxies:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise SetupError(
                f"--trusted-proxy {network!r} is no network: write it as 10.0.0.0/8."
            ) from None
    return Rules(key_ring_of(key_file), paths or PIXEL_PATHS, proxies, addresses, allow or ("*",))


def _warehouse(name: str) -> DuckDBWarehouse:
    """The warehouse that `--to` names; raises SetupError."""
    from pipeline.warehouses.duckdb import DuckDBWarehouse

    kind, _, path = name.partition(":")
    if kind != "duckdb" or not path:
        raise SetupError(f"--to {name!r} names no warehouse: write duckdb:PATH.")
    return DuckDBWarehouse(path)
