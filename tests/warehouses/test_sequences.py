"""Loads, replays and unloads in any order: the books are balanced after each, and in the end there is
what a plain load of the same files gives.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pipeline.options import Rules
from pipeline.warehouses.maintenance import Choice
from tests.logs import GOOGLEBOT, NOON_US, RULES, SECOND_US, SECRET, Hit, log, signed, tsv
from tests.warehouses.builders import assert_balanced, load_by, replay, status, unload
from tests.warehouses.conftest import DuckDBPlace, MemoryPlace, Place
from tests.warehouses.deadly import BOTH

OLD = "an older secret"
URIS = {
    (secret, table): b"/i.gif?" + signed(secret, d=table)
    for secret in (SECRET, OLD)
    for table in ("news.pageviews", "mail.opens")
}
KINDS = ("view", "mail", "old", "old mail", "old robot", "robot", "again", "old again", "unsigned", "junk", "other", "blank")  # fmt: skip
LINES = st.lists(st.sampled_from(KINDS), min_size=1, max_size=4).filter(
    lambda kinds: set(kinds) != {"blank"}  # logs of the same bytes are one log
)
RULES_ = st.sampled_from([RULES, BOTH])
NAMES = st.sampled_from(["a.log", "b's.log"])


class Machine(RuleBasedStateMachine):
    place: Place
    folder: Path
    is_refused = False

    def __init__(self) -> None:
        super().__init__()
        self.numbers = itertools.count()
        self._home = tempfile.TemporaryDirectory()
        self.folder = Path(self._home.name) / "logs"
        self.folder.mkdir()
        self.place = self.make(Path(self._home.name))

    make: Any = MemoryPlace

    def teardown(self) -> None:
        try:
            if any(self.folder.iterdir()):
                self.settle()
        finally:
            self._home.cleanup()

    def settle(self) -> None:
        """Everything is loaded and replayed by all keys: as if it had been loaded so at once."""
        if self.is_refused:
            self.mend()
        self.load_all(BOTH)
        replay(self.place, rules=BOTH)
        assert_balanced(self.place)
        plain = MemoryPlace(Path(self._home.name))
        load_by(plain, BOTH, self.folder)
        assert contents(self.place) == contents(plain)
        assert status(self.place).adds_up
        assert load_by(self.place, BOTH, self.folder).batches == []
        assert replay(self.place, rules=BOTH).batches == []

    def load_all(self, rules: Rules) -> None:
        """A run of the main job, after which each line of each file is counted once."""
        load_by(self.place, rules, self.folder)
        lines = sum(path.read_bytes().count(b"\n") for path in self.folder.iterdir())
        assert sum(row["lines"] for row in self.place.rows("pixelship.objects")) == lines

    def line(self, kind: str) -> bytes:
        """A line that no other is like, but for the request ids of those that come again."""
        number = next(self.numbers)
        if kind in ("junk", "blank"):
            return b"junk %d" % number if kind == "junk" else b""
        secret = OLD if kind.startswith("old") else SECRET
        uri = URIS[secret, "mail.opens" if kind.endswith("mail") else "news.pageviews"]
        uri = {"other": b"/robots.txt", "unsigned": b"/i.gif"}.get(kind, uri)
        hit = Hit(
            time_us=NOON_US + number % 3 * 86_400 * SECOND_US,
            request_id=b"again %d" % (number % 3) if kind.endswith("again") else b"%d" % number,
            uri=uri,
            user_agent=GOOGLEBOT if kind.endswith("robot") else Hit.user_agent,
            referrer=b"https://example.org/%d" % number,
        )
        return tsv(hit)

    @initialize(kinds=LINES, is_refused=st.booleans())
    def begin(self, kinds: list[str], *, is_refused: bool) -> None:
        self.is_refused = is_refused
        if is_refused:
            self.place.refuse("mail.opens")
        self.write("a.log", kinds, BOTH)

    @precondition(lambda self: self.is_refused)
    @rule()
    def mend(self) -> None:
        self.is_refused = False
        self.place.mend("mail.opens")

    @rule(name=NAMES, kinds=LINES, rules=st.sampled_from([RULES, BOTH, None]), rotates=st.booleans())  # fmt: skip
    def write(
        self, name: str, kinds: list[str], rules: Rules | None, *, rotates: bool = False
    ) -> None:
        """A log that grows, or begins; mostly it is loaded."""
        path = self.folder / name
        if rotates and path.exists():
            path.rename(self.folder / f"{name}.{next(self.numbers)}")
        with path.open("ab") as file:
            file.write(log(*map(self.line, kinds)))
        if rules:
            self.load_all(rules)

    @rule(rules=RULES_, reason=st.sampled_from([(), ("tampered",), ("malformed", "unsigned")]), data=st.data())  # fmt: skip
    def replay(self, rules: Rules, reason: tuple[str, ...], data: Any) -> None:
        names = sorted({row["source_object"] for row in self.place.rows("pixelship.rejects")})
        objects = data.draw(st.sampled_from([(), *((name,) for name in names)]))
        choice = Choice(reasons=reason, objects=objects)
        planned = replay(self.place, choice, rules, is_plan=True)
        done = replay(self.place, choice, rules)
        assert (planned.chosen, planned.kept) == (done.chosen, done.kept)
        assert replay(self.place, choice, rules).batches == []

    @precondition(lambda self: self.place.rows("pixelship.objects"))
    @rule(by=st.sampled_from(["batch", "object", "day"]), data=st.data(), loads=st.booleans())
    def unload(self, by: str, data: Any, *, loads: bool) -> None:
        rows = self.place.rows("pixelship.objects")
        ordered = sorted(rows, key=lambda row: (row["batch"], row["name"]))
        row = data.draw(st.sampled_from(ordered))
        if by == "batch":
            result = unload(self.place, batches=(row["batch"],))
        elif by == "object":
            result = unload(self.place, Path(row["name"]))
        else:
            day = date(2025, 11, 21) + timedelta(data.draw(st.integers(0, 2)))
            result = unload(self.place, days=(day,))
            views = self.place.rows("news.pageviews")
            assert day not in {view["timestamp"].date() for view in views}
        assert result.gone == []
        if by != "day":
            left = self.place.rows("pixelship.objects")
            keys = {(each["batch"], each["name"]) for each in left}
            assert (row["batch"], row["name"]) not in keys
        if loads:
            self.load_all(RULES)

    @invariant()
    def balanced(self) -> None:
        assert_balanced(self.place)
        rows = self.place.rows("news.pageviews")
        ids = [row["event_id"] for row in rows]
        assert len(ids) == len(set(ids))


class DuckDBMachine(Machine):
    @staticmethod
    def make(folder: Path) -> Place:
        return DuckDBPlace(folder / "pixelship.duckdb")


def contents(place: Place) -> dict[str, Any]:
    """What is in the tables, wherever it was read: names change with rotation."""
    tables = place.tables()
    hits: Counter[Any] = Counter()
    for row in tables.get("pixelship.bot_hits", []):
        hits[row["hour"], row["destination"], row["rule"]] += row["hits"]
    views = {
        name: sorted((row["event_id"], row["key"], row["timestamp"]) for row in rows)
        for name, rows in tables.items()
        if "event_id" in rows[0]
    }
    rejects = Counter((row["raw"], row["reason"]) for row in tables.get("pixelship.rejects", []))
    return {"views": views, "hits": hits, "rejects": rejects}


@pytest.mark.parametrize(("machine", "steps"), [(Machine, 20), (DuckDBMachine, 8)])
def test_any_sequence_ends_as_a_plain_load_does(
    machine: type[RuleBasedStateMachine], steps: int
) -> None:
    examples = settings().max_examples if machine is Machine else settings().max_examples // 8
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=steps)
    )
