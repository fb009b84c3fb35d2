"""The demonstration, run by `make demo`: `python -m demo [--record]`.

A real nginx serves the pixel, real clients ask for it over loopback, its log is rotated and
loaded by the real command line, and what came out is held against what was sent.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from rich.console import Console

from demo.chart import show_views
from demo.command import CommandError, line, output, run, shown
from demo.install import NoNginxError, ensure_nginx
from demo.performance import RECORDED_SECRET, Log, perform, record, recorded
from demo.results import Results, differences
from demo.show import show_commands, show_destinations, show_rejects
from demo.traffic import Sign
from pipeline.keyfile import read_key_file
from pipeline.signing import KeyRing, key_ring, sign_query

OUT = Path(__file__).resolve().parent / "out"


def main(arguments: list[str] | None = None, out: Path = OUT) -> int:
    """Runs the demonstration; the exit status says whether everything came out as sent."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--record", action="store_true", help="record demo/recorded anew")
    console = Console()
    try:
        if parser.parse_args(arguments).record:
            record(console, signed_by(key_ring([RECORDED_SECRET])), out / "record")
            return 0
        return demonstrate(console, out)
    except (CommandError, NoNginxError) as error:
        console.print(f"[bold red]{error}[/bold red]", highlight=False)
        return 1


def demonstrate(console: Console, out: Path) -> int:
    """All of it, in a folder made anew."""
    began = time.monotonic()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    keys, database = out / "keys.json", out / "pixelship.duckdb"
    output("keys", "new", "--keys", shown(keys))
    console.print(f"· made a key ring, {shown(keys)}", highlight=False)
    try:
        ensure_nginx()
    except NoNginxError as error:
        console.print(f"· {error} A log recorded from a real nginx stands in.", highlight=False)
        log = recorded(out / "log")
        load(console, log, database, (), {"SIGNER_SECRET": RECORDED_SECRET})
    else:
        an_hour_ago = datetime.now(timezone.utc) - timedelta(hours=1)
        sign = signed_by(read_key_file(keys))
        log = perform(console, sign, out / "nginx", f"{an_hour_ago:%Y-%m-%d %H}:00:00")
        load(console, log, database, ("--keys", shown(keys)), {})
    agrees = show(console, log, database)
    suggest(console, keys, database)
    console.print(f"\n[dim]The demonstration took {time.monotonic() - began:.1f} s.[/dim]")
    return 0 if agrees else 1


def signed_by(ring: KeyRing) -> Sign:
    """Signs with the ring's newest key."""
    key = ring.signer
    if key is None:
        raise CommandError("The key ring holds no key that signs.")
    return lambda parameters: sign_query(parameters, key)


def load(
    console: Console, log: Log, database: Path, options: tuple[str, ...], secrets: dict[str, str]
) -> None:
    """Runs the main job on the log, as anyone would; it shows its own balance sheet."""
    command = ("load", shown(log.folder), "--to", f"duckdb:{shown(database)}", *options)
    console.print(f"\n[bold]$ {line(*command)}[/bold]", highlight=False, soft_wrap=True)
    run(*command, environment=secrets)


def show(console: Console, log: Log, database: Path) -> bool:
    """Shows what was loaded; whether it is what was sent."""
    results = Results(database)
    console.print()
    show_destinations(console, results)
    console.print()
    show_rejects(console, results)
    console.print()
    show_views(console, results.views())
    unlike = differences(log.tally, results.balance())
    results.close()
    if unlike:
        console.print("\n[bold red]What was loaded is not what was sent:[/bold red]")
        console.print("\n".join(f"  {sentence}" for sentence in unlike), highlight=False)
        return False
    console.print(
        "\n[bold green]✓[/bold green] The balance sheet agrees with the tally of what was sent: "
        f"each of {log.tally['lines']:,} requests met the fate it was meant to meet.",
        highlight=False,
    )
    return True


def suggest(console: Console, keys: Path, database: Path) -> None:
    """Prints commands that work as they stand, from the project's folder."""
    sign = (
        "sign", "--keys", shown(keys), "--key", "story-1",
        "--canonical", "https://news.example.org/story-1", "--to", "news.pageviews",
    )  # fmt: skip
    sql = (
        "SELECT browser, count(*) AS views FROM news.pageviews "
        "GROUP BY browser ORDER BY views DESC LIMIT 5"
    )
    show_commands(
        console,
        (
            ("ask the rows anything", line("query", sql, "--db", shown(database))),
            ("make a pixel's URL", line(*sign)),
            ("see whether a URL would count", line("check", output(*sign), "--keys", shown(keys))),
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
