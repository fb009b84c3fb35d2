"""The ladder: forms that a broken query string may have had, tried until one verifies.

The signature is the judge: a form counts only if its signature fits all of its parameters, so what
a repair lets in is just what was signed. Trackers that were left out are no part of the form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask, Rows, map_values, replace_where
from pipeline.repair.steps import CHOICES, MAIL, TRACES, Form, Step
from pipeline.repair.trackers import extras_json
from pipeline.signing import SIGNATURE_CHARS

MOST_FORMS = 12
"""How many forms of one query string are tried."""
_MOST_WEIGHT = 9
_BYTES_AT_ONCE = 1 << 19
"""Of query strings: their forms take many times as much memory."""

_LEAST_BYTES = len("s=") + SIGNATURE_CHARS
MOST_BYTES = 16_384
"""Longer query strings are not mended: no server takes a URL of that length."""
_LOOKS_SIGNED = r"(?:^|[&;]|%(?:25)*(?:26|3B))s(?:=|%(?:25)*3D)"
_IS_SIGNED = re.compile(rb"(?:^|&)s=[0-9A-Za-z_.~%-]{43}")

Verifies = Callable[[pa.BinaryArray], Mask]
"""Which of some query strings carry a signature that fits all their parameters."""

_Choice = tuple[int, ...]
"""For each group of steps which of them is taken, from 1; 0 for none."""


def _weight(choice: _Choice) -> int:
    return sum(group[step - 1].weight for group, step in zip(CHOICES, choice, strict=True) if step)


_ORDER = sorted(
    (
        choice
        for choice in product(*(range(len(group) + 1) for group in CHOICES))
        if _weight(choice) <= _MOST_WEIGHT
    ),
    key=lambda choice: (_weight(choice), choice),
)
"""The likely before the unlikely, one thing undone before several."""


@dataclass(frozen=True)
class Mended:
    """Those of some query strings that verify after a repair.

    `rows` are their places, `queries` the forms that verified, `repair` the names of the steps,
    `extras` the JSON text of the parameters that were left out, null where there are none.
    """

    rows: Rows
    queries: pa.BinaryArray
    repair: pa.StringArray
    extras: pa.StringArray


def mend(queries: pa.BinaryArray, verifies: Verifies) -> Mended:
    """Tries the forms of query strings that do not verify (distinct, binary, no nulls)."""
    suspects = np.flatnonzero(_is_suspect(queries))
    found: dict[int, Form] = {}
    for rows in _in_turns(suspects, queries):
        climb = _Climb(queries.take(pa.array(rows)), verifies)
        climb.go()
        found.update((int(rows[at]), form) for at, form in climb.found.items())
    forms = [found[row] for row in sorted(found)]
    return Mended(
        np.array(sorted(found), np.int64),
        pa.array([form.query for form in forms], pa.binary()),
        pa.array(["+".join(form.repair) for form in forms], pa.string()),
        pa.array([extras_json(form.extras) for form in forms], pa.string()),
    )


def _in_turns(rows: Rows, queries: pa.BinaryArray) -> list[Rows]:
    """The rows in parts that are climbed one after the other."""
    length = pc.binary_length(queries).to_numpy(zero_copy_only=False)[rows]
    turn = np.cumsum(length, dtype=np.int64) // _BYTES_AT_ONCE
    return np.split(rows, np.flatnonzero(np.diff(turn)) + 1)


def _is_suspect(queries: pa.BinaryArray) -> Mask:
    """Which have a trace of what can be undone, and may be signed at all."""
    length = pc.binary_length(queries)
    is_suspect = pc.and_(pc.greater_equal(length, _LEAST_BYTES), pc.less_equal(length, MOST_BYTES))
    for pattern in (_LOOKS_SIGNED, TRACES):
        hit = pc.match_substring_regex(queries, pattern, ignore_case=True)
        is_suspect = pc.and_(is_suspect, hit)
    return is_suspect.to_numpy(zero_copy_only=False)


class _Climb:
    """Some query strings on their way up, all at once.

    Those that have verified, or have no try left, take no part any more.
    """

    def __init__(self, queries: pa.BinaryArray, verifies: Verifies) -> None:
        self.found: dict[int, Form] = {}
        self._queries = queries.to_pylist()
        self._tried = [{query} for query in self._queries]
        self._is_over = np.zeros(len(queries), np.bool_)
        self._verifies = verifies
        bottom = _Stand(np.arange(len(queries)), queries)
        self._stands: dict[_Choice, _Stand] = {(): _as_mailed(bottom)}

    def go(self) -> None:
        """Tries the forms in their order."""
        for choice in _ORDER:
            if self._is_over.all():
                break
            self._try(choice, self._reach(choice))

    def _try(self, choice: _Choice, stand: _Stand) -> None:
        untried = [
            (row, query)
            for row, query in zip(stand.rows.tolist(), stand.queries.to_pylist(), strict=True)
            if query not in self._tried[row] and _IS_SIGNED.search(query)
        ]
        if not untried:
            return
        verified = self._verifies(pa.array([query for _, query in untried], pa.binary()))
        for (row, query), fits in zip(untried, verified.tolist(), strict=True):
            self._tried[row].add(query)
            if fits:
                self.found[row] = form_of(self._queries[row], choice)
            self._is_over[row] = fits or len(self._tried[row]) > MOST_FORMS

    def _reach(self, choice: _Choice) -> _Stand:
        """The forms of a choice, of those rows in which each of its steps finds something to undo."""
        if choice not in self._stands:
            *before, taken = choice
            stand = self._reach(tuple(before))
            if taken:
                stand = _undone(stand, CHOICES[len(before)][taken - 1])
                stand = stand if before else _as_mailed(stand)
            self._stands[choice] = stand
        self._stands[choice] = _among(self._stands[choice], ~self._is_over)
        return self._stands[choice]


@dataclass(frozen=True)
class _Stand:
    """Forms of some rows."""

    rows: Rows
    queries: pa.BinaryArray


def _among(stand: _Stand, is_wanted: Mask) -> _Stand:
    """The forms of those rows that are wanted."""
    keep = is_wanted[stand.rows]
    return stand if keep.all() else _Stand(stand.rows[keep], stand.queries.filter(pa.array(keep)))


def _undone(stand: _Stand, step: Step) -> _Stand:
    """The forms with a step's thing undone, less those in which there is nothing to undo."""
    if not len(stand.rows):
        return stand
    hit = pc.match_substring_regex(stand.queries, step.traces, ignore_case=True)
    before = stand.queries.filter(hit)
    after = map_values(before, step.text, pa.binary())
    is_changed = pc.not_equal(before, after)
    rows = stand.rows[hit.to_numpy(zero_copy_only=False)]
    return _Stand(rows[is_changed.to_numpy(zero_copy_only=False)], after.filter(is_changed))


def _as_mailed(stand: _Stand) -> _Stand:
    """All the forms, with what mail did to them undone."""
    queries = stand.queries
    for step in MAIL:
        hit = pc.match_substring_regex(queries, step.traces, ignore_case=True)
        marked = hit.to_numpy(zero_copy_only=False)
        queries = replace_where(queries, marked, step.text)
    return _Stand(stand.rows, queries)


def form_of(query: bytes, choice: _Choice) -> Form:
    """One query string's form, with what was undone to make it."""
    form = _mailed(Form(query))
    for place, (group, taken) in enumerate(zip(CHOICES, choice, strict=True)):
        if taken:
            form = group[taken - 1].on(form) or form
            form = form if place else _mailed(form)
    return form


def _mailed(form: Form) -> Form:
    for step in MAIL:
        form = step.on(form) or form
    return form
