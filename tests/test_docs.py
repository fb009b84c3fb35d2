"""The documents in docs/ say what the code does: commands, options, keys, reasons, columns."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import duckdb
import pytest
from click.testing import CliRunner

from pipeline import formats, schemas
from pipeline.beam.options import separate_beam_options
from pipeline.check import check_urls
from pipeline.cli import main
from pipeline.config import keys_of, read_config
from pipeline.dialects import DIALECTS, UNSIGNED
from pipeline.model import Reason
from pipeline.options import Rules
from pipeline.warehouses.contract import Report
from pipeline.warehouses.duckdb_tables import _TYPES as _DUCKDB
from pipeline.warehouses.views import View, campaign_views, hits_by_key
from tests.cli.test_start import ALL

ROOT = Path(__file__).parents[1]
CLI, REASONS, TABLES, FORMATS, CONFIGURATION = (
    (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("cli.md", "reasons.md", "tables.md", "formats.md", "configuration.md")
)
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("*.md")),
    *ROOT.glob("nginx/*.md"),
    *ROOT.glob("ship/*.md"),
    *ROOT.glob("signers/*.md"),
]
COMMANDS = {name: command for name, command in ALL.items() if name}
TABLE_TITLES = {
    "event": "`DATASET.TABLE`: the views",
    **{
        name: f"`pixelship.{name}`"
        for name in ("rejects", "bot_hits", "objects", "batches", "quarantine", "sends")
    },
}


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next of its rank or above."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,3}} |\Z)", text, re.M | re.S)
    assert found, f"there is no heading {title!r}"
    return found[2]


def tables(text: str) -> list[list[str]]:
    """The rows of all tables in a text, headings left out, as cells."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [row for at, row in enumerate(rows) if not _is_rule(row) and not _is_rule(rows[(at + 1) % len(rows)])]  # fmt: skip


def _is_rule(row: list[str]) -> bool:
    return set("".join(row)) <= set("-|: ")


def options_of(command: click.Command) -> list[click.Option]:
    return [each for each in command.params if isinstance(each, click.Option)]


# docs/cli.md


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_every_command_and_option_is_documented_with_an_example(name: tuple[str, ...]) -> None:
    command, title = COMMANDS[name], " ".join(("pixelship", *name))
    text = section(CLI, title)
    if isinstance(command, click.Group):
        for word in command.commands:
            section(CLI, f"{title} {word}")
        return
    assert f"```\n{title} " in text
    assert f"$ {title}" in text
    documented = {row[0].strip("`").split(" ")[0]: row for row in tables(text) if row[0].startswith("`--")}  # fmt: skip
    assert documented.keys() == {option.opts[0] for option in options_of(command)}
    for option in options_of(command):
        assert len(documented[option.opts[0]][1]) > 10
        if isinstance(option.default, str):
            assert option.default in " ".join(documented[option.opts[0]])
        if isinstance(option.type, click.Choice):
            for choice in option.type.choices:
                assert f"`{choice}`" in documented[option.opts[0]][1]
    for argument in command.params:
        if isinstance(argument, click.Argument):
            assert argument.make_metavar(click.Context(command)).split(" ")[0] in text


def test_every_group_and_environment_variable_is_named() -> None:
    for name in COMMANDS:
        assert f"pixelship {name[0]}" in CLI
    variables = {option.envvar for each in ALL.values() for option in options_of(each)} - {None}
    assert variables == {"PIXELSHIP_KEYS", "PIXELSHIP_CONFIG", "PIXELSHIP_BASE"}
    for variable in (*variables, "SIGNER_SECRET"):
        assert f"`{variable}`" in CLI


def test_the_formats_are_named() -> None:
    for each in formats.FORMATS:
        assert f"`{each.name}`" in FORMATS


def test_every_key_of_the_balance_sheet_is_documented() -> None:
    rows = tables(section(CLI, "The balance sheet as JSON"))
    assert [row[0].strip("`") for row in rows] == list(Report().to_json())


def test_every_key_of_a_verdict_is_documented() -> None:
    (verdict,) = check_urls(["/other"], Rules(), 0)
    for key in verdict.to_json():
        assert f"`{key}`" in section(CLI, "pixelship check")


def test_every_exit_status_is_documented() -> None:
    rows = tables(section(CLI, "Exit status"))
    assert [row[0] for row in rows] == ["0", "1", "2", "3", "130"]
    help_ = COMMANDS["load",].help
    assert help_ is not None
    assert re.findall(r"^ +(\d)  ", help_, re.M) == ["0", "1", "2", "3"]


def examples() -> list[tuple[str, str]]:
    """The page and the words of every example of the command."""
    return [
        (page.name, line.removeprefix("$ ").partition("  #")[0].replace("…", ""))
        for page in PAGES
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("$ pixelship")
    ]


@pytest.mark.parametrize(("page", "line"), examples())
def test_examples_use_commands_and_options_that_there_are(page: str, line: str) -> None:
    _, *words = shlex.split(line)
    name = tuple(words[:2]) if tuple(words[:2]) in COMMANDS else tuple(words[:1])
    command = COMMANDS[name]
    # as the command inherits them: click remembers the first it sees
    settings = main.context_settings
    context = command.make_context(" ".join(name), words[len(name) :], **settings)
    separate_beam_options(context.params.get("logs", ()))


def test_the_url_in_the_example_is_the_one_that_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = section(CLI, "pixelship sign").partition("$ pixelship ")[2]
    line, url = example.splitlines()[:2]
    env = {"SIGNER_SECRET": "example secret", "PIXELSHIP_BASE": None, "PIXELSHIP_KEYS": None}
    monkeypatch.chdir(tmp_path)
    done = CliRunner(env=env).invoke(main, shlex.split(line))
    assert done.stdout.strip() == url


# docs/reasons.md and docs/tables.md


def test_every_reason_is_documented_in_order() -> None:
    assert tables(REASONS) == [
        [
            f"`{reason.label}`",
            reason.stage.value,
            f"{reason.meaning[0].upper()}{reason.meaning[1:]}.",
            reason.remedy,
        ]
        for reason in Reason
    ]
    assert [reason.value for reason in Reason] == list(range(1, len(Reason) + 1))
    stages = [reason.stage for reason in Reason]
    assert stages == sorted(stages, key=list(dict.fromkeys(type(stages[0]))).index)


@pytest.mark.parametrize("name", TABLE_TITLES)
def test_every_column_is_documented_as_its_schema_has_it(name: str) -> None:
    assert tables(section(TABLES, TABLE_TITLES[name])) == [
        [
            f"`{column.name}`",
            column.type,
            "no" if column.is_required else "yes",
            column.description,
        ]
        for column in schemas.table(name)
    ]


@pytest.mark.parametrize(
    "view",
    [hits_by_key("DATASET.TABLE"), *campaign_views(["mail.opens"])],
    ids=lambda view: view.name,
)
def test_every_column_of_a_view_is_documented(view: View) -> None:
    documented = [
        name
        for row in tables(section(TABLES, f"`{view.name}`"))
        for name in re.findall(r"`(\w+)`", row[0])
    ]
    with duckdb.connect() as db:
        db.execute('CREATE SCHEMA pixelship; CREATE SCHEMA mail; CREATE SCHEMA "DATASET"')
        event = ", ".join(
            f"{column.name} {_DUCKDB[column.type]}" for column in schemas.table("event")
        )
        sends = ", ".join(
            f"{column.name} {_DUCKDB[column.type]}" for column in schemas.table("sends")
        )
        for made in (
            f"mail.opens ({event})",
            f'"DATASET"."TABLE" ({event})',
            f"pixelship.sends ({sends})",
        ):
            db.execute(f"CREATE TABLE {made}")
        for each in campaign_views(["mail.opens"]):
            db.execute(f"CREATE VIEW {each.name} AS {each.sql(str)}")
        found = db.execute(view.sql(lambda name: ".".join(f'"{part}"' for part in name.split("."))))
        assert documented == [column[0] for column in found.description]


def test_every_schema_is_documented() -> None:
    assert {path.stem for path in (ROOT / "schemas").glob("*.json")} == TABLE_TITLES.keys()


# Links


def links() -> list[tuple[Path, str]]:
    return [
        (page, target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        if not target.startswith(("http://", "https://", "mailto:"))
    ]


@pytest.mark.parametrize(("page", "target"), links(), ids=lambda part: getattr(part, "name", part))
def test_links_lead_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    there = (page.parent / path).resolve() if path else page
    assert there.exists()
    if anchor:
        titles = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.M)
        slugs = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
        assert anchor in slugs


# docs/configuration.md


def configurations() -> list[str]:
    return re.findall(r"^```toml\n(.*?)^```", CONFIGURATION, re.M | re.S)


def test_the_configurations_shown_are_sound_and_the_last_has_every_key() -> None:
    least, full = (read_config(text.encode(), "pixelship.toml").rules for text in configurations())
    assert [each.name for each in least.unsigned] == ["ping"]
    assert [each.name for each in full.unsigned] == list(UNSIGNED)
    rows = [row[0].strip("`") for row in tables(CONFIGURATION.partition("## Dialects")[0])]
    sections = {section: keys_of(section) for section in ("", "prx", *UNSIGNED)}
    keys = [f"{section}.{key}" if section else key for section, found in sections.items() for key in found]  # fmt: skip
    assert rows == keys
    *_, shown = configurations()
    assert all(re.search(rf"^{key.rpartition('.')[2]} = ", shown, re.M) for key in keys)


def test_every_dialect_is_documented() -> None:
    rows = [row[0].strip("`") for row in tables(section(CONFIGURATION, "Dialects"))]
    assert rows == list(DIALECTS)
