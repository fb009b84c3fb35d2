"""`pixelship load`: the main job."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.group import EXIT_INCOMPLETE
from pipeline.cli.ring import KeySource, key_files, remote_reference
from pipeline.cli.rules import (
    DEFAULT_CONFIG_FILE,
    format_of,
    map_files,
    rule_options,
    rules_of,
    take_rules,
)
from pipeline.cli.warehouse import loading_options, warehouse_of, warehouse_options
from pipeline.errors import BalanceError, ServiceError, SetupError

if TYPE_CHECKING:
    from pipeline.sources import Search
    from pipeline.warehouses.bigquery import BigQueryWarehouse
    from pipeline.warehouses.duckdb import DuckDBWarehouse


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("logs", metavar="LOG... [BEAM OPTIONS]", nargs=-1, required=True, type=click.UNPROCESSED)  # fmt: skip
@warehouse_options
@loading_options
@rule_options
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), metavar="N", help="Worker processes on this machine.")  # fmt: skip
@click.option("--settle", "settle_s", default=0.0, show_default=True, type=click.FloatRange(0), metavar="SECONDS", help="Leave logs alone that were written in the last so many seconds.")  # fmt: skip
@click.option("--lease", "lease_s", type=click.FloatRange(1), metavar="SECONDS", help="Do nothing while another run is at work that began with this option, for so long at most.")  # fmt: skip
@click.option("--log", "log_form", default="text", show_default=True, type=click.Choice(("text", "json")), help="What standard error gets: sentences, or structured log entries as JSON lines.")  # fmt: skip
@click.option("--plan", "is_plan", is_flag=True, help="Say what would be loaded, and write nothing.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the balance sheet as JSON, and nothing else.")  # fmt: skip
def load(
    logs: tuple[str, ...],
    warehouse: str,
    log_format: str,
    key_file: KeySource,
    settle_s: float,
    workers: int,
    lease_s: float | None,
    log_form: str,
    is_plan: bool,
    as_json: bool,
    **others: Any,
) -> None:
    """Load access logs: each verified view once, into the table that its URL names.

    LOG is a file, a glob or a folder, here or in Cloud Storage (gs://BUCKET/…); plain, gzip or zstd,
    whatever its name. What was loaded before is left alone. Options that Apache Beam knows (such as
    --runner) are passed to it; with --no_wait_until_finish or --template_location the job that it runs
    loads by itself, into BigQuery, and this command only launches it.

    \b
    Exit status:
      0  all is loaded
      1  something was parked, quarantined or damaged; the rest is loaded
      2  wrong usage or set-up; nothing was loaded
      3  a defect, or a machine or service that fails; running again does no harm
    """
    logging.basicConfig(level=logging.ERROR)
    for part in (
        "common",
        "worker",
        "portability",
    ):  # what they log of an error, they raise as well
        logging.getLogger(f"apache_beam.runners.{part}").setLevel(logging.CRITICAL)
    from pipeline.beam.launch import Launch
    from pipeline.beam.options import separate_beam_options
    from pipeline.cli.balance import LoadProgress, print_balance
    from pipeline.cli.warehouse import lease_of
    from pipeline.load import Order
    from pipeline.load import load as run_load
    from pipeline.sources import Search

    patterns, beam_options = separate_beam_options(logs)
    if not patterns:
        raise SetupError("Name a log file, a glob or a folder to load.")
    rules = take_rules(others)
    to = warehouse_of(warehouse, **others)
    config_file = rules["config_file"] or Path(DEFAULT_CONFIG_FILE)
    ours = (*to.files, *key_files(key_file), config_file, *map_files(log_format))
    search = Search(patterns, ours, settle_s)
    if is_plan:
        _show_plan(to, search, merges=others["dedupe"] == "merge", as_json=as_json)
        return
    launch = Launch(workers, beam_options)
    keys_from = None if launch.is_local else remote_reference(key_file)
    lease = lease_of(to, others["state"], lease_s)
    order = Order(
        search, rules_of(key_file, rules), format_of(log_format), launch, keys_from, lease
    )
    with _telling(log_form), to, LoadProgress() as progress:
        report = run_load(to, order, progress.advance)
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        print_balance(report)
    if not report.is_clean:
        raise SystemExit(EXIT_INCOMPLETE)


@contextmanager
def _telling(form: str) -> Iterator[None]:
    """Has structured log entries go to standard error where they are asked for, a failure's too."""
    from pipeline.structured_log import tell, write_to

    write_to(sys.stderr if form == "json" else None)
    try:
        yield
    except (SetupError, ServiceError, BalanceError) as error:
        tell("run_failed", f"The run failed: {error}", logging.ERROR, reason=str(error))
        raise
    except Exception as error:
        why = f"{type(error).__name__}, see the traceback"
        tell("run_failed", f"The run failed: {why}.", logging.ERROR, reason=why)
        raise


def _show_plan(
    to: DuckDBWarehouse | BigQueryWarehouse, search: Search, *, merges: bool, as_json: bool
) -> None:
    """Prints what a run would do."""
    from pipeline.cli.preview import show_preview
    from pipeline.costs import estimate
    from pipeline.load import preview
    from pipeline.warehouses.duckdb import DuckDBWarehouse

    seen = preview(to, search)
    plan = seen.plan
    stored_bytes = sum(item.size - item.start for item in plan.objects)
    cost = estimate(stored_bytes, len(plan.objects), len(plan.batches()), merges=merges)
    show_preview(seen, None if isinstance(to, DuckDBWarehouse) else cost, as_json=as_json)
