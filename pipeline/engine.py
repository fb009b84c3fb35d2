"""The way of the data, from a block of log bytes to rows: pure, Arrow in and Arrow out.

    blocks → format → decode → verify → classify → enrich → route → shape

`Engine.process` reads like that line. Rows keep their place to the end; the first stage that
refuses one gives its reason; then there is one split, into views, bots and rejects.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import shape
from pipeline.blocks import MOST_LINE_BYTES, Block, Lines, read_blocks
from pipeline.columns import Rows, encode, to_text
from pipeline.dialects import read_claims
from pipeline.formats import Format, Parsed, detect
from pipeline.formats.contract import NO_ROWS, behind, requests
from pipeline.model import TIMESTAMP, Reason, Tally
from pipeline.options import Rules, is_path
from pipeline.shape import Judged, Origin, Reasons
from pipeline.signing import ALWAYS_US, NEVER_US, NO_KEY
from pipeline.transforms.addresses import client_addresses
from pipeline.transforms.classify import Classifier

_METHODS = (b"GET", b"HEAD")
_STATUSES = (b"200", b"204", b"304")
_SNIFF_BLOCK_BYTES = 1 << 16
_SNIFF_MOST_BYTES = 1 << 26
_SNIFF_MOST_LINES = 1 << 16
_SNIFF_MOST_STORED_BYTES = 1 << 30
"""How far into an object its format is looked for; of long lines, such as holes in a file, only
the heads count as bytes."""


@dataclass(frozen=True)
class Outcome:
    """What became of a block's lines.

    `events` holds the views sorted by destination, `destinations` says which rows are whose;
    `rejects` and `bot_hits` have the columns of their schemas. `format` is that of the lines behind.
    """

    tally: Tally
    events: pa.RecordBatch
    destinations: dict[str, slice]
    rejects: list[pa.RecordBatch]
    bot_hits: pa.RecordBatch
    format: Format | None = None


class Engine:
    """Judges blocks by fixed rules; keeps nothing between blocks but a cache of user agents."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._classifier = Classifier()

    def process(self, block: Block, format_: Format | None, origin: Origin) -> Outcome:
        """A block's lines as views by destination, bots by hour, and rejects with their reasons.

        `format_` is None where no format knows the object's lines: all of them are malformed.
        """
        return self.process_lines(block.lines(), format_, origin)

    def process_lines(self, every: Lines, format_: Format | None, origin: Origin) -> Outcome:
        """The same for lines that come from elsewhere, such as those that were rejected before."""
        too_long = np.flatnonzero(every.lengths > MOST_LINE_BYTES)
        lines = _records(every)
        parsed = format_.parse(lines) if format_ else _all_malformed(lines)
        following = behind(format_, lines, parsed) if format_ else None
        if following is not format_:  # not every line's columns are those of one header
            origin = replace(origin, header=None)
        judged = self.judge(select_pixels(parsed.requests, self._rules.all_paths), lines)
        reasons = first_reasons(judged, self._rules)
        is_bot = (reasons == 0) & judged.agent.look_up(judged.agents.is_bot, False).astype(np.bool_)
        views, bots = (
            judged.hits(np.flatnonzero((reasons == 0) & such)) for such in (~is_bot, is_bot)
        )
        views, destinations = shape.sort_by_destination(judged, views)
        rejects = [
            _rejects(every, too_long, Reason.TOO_LONG, origin),
            _rejects(lines, parsed.malformed, Reason.MALFORMED_LINE, origin),
            _rejected_requests(lines, judged, reasons, origin),
        ]
        tally = Tally(
            lines=len(every),
            extra_events=int((views.nth > 0).sum() + (bots.nth > 0).sum()),
            header=len(every) - len(too_long) - len(lines) + len(parsed.header),
            not_pixel=parsed.requests.num_rows - judged.requests.num_rows + len(parsed.other),
            accepted=len(views),
            bot=len(bots),
            rejected=_count_reasons(rejects),
        )
        events = shape.events(judged, views, origin, self._rules)
        bot_hits = shape.bot_hits(judged, bots, origin)
        return Outcome(tally, events, destinations, rejects, bot_hits, following)

    def judge(self, pixels: pa.RecordBatch, lines: Lines) -> Judged:
        """Finds out about pixel requests: what their URLs claim, who sent them, from where."""
        query = encode(pixels.column("query")).compact()
        agent = encode(pixels.column("user_agent")).compact()
        agent = agent.with_values(to_text(agent.values))
        claimed = read_claims(query, encode(pixels.column("path")), self._rules)
        return Judged(
            requests=pixels,
            position=lines.position[pixels.column("line").to_numpy()],
            claim=claimed.first,
            claims=claimed.claims,
            counts=claimed.counts,
            agent=agent,
            agents=self._classifier.classify(agent.values),
            address=client_addresses(
                pixels.column("ip"), pixels.column("forwarded_for"), self._rules.trusted_proxies
            ),
        )


def first_reasons(judged: Judged, rules: Rules) -> Reasons:
    """For each request the first `Reason` against it, 0 where there is none."""
    none = np.int8(max(Reason) + 1)
    claimed = np.append(judged.claims.reason, np.int8(Reason.UNSIGNED))[judged.claim]
    tests = (
        (
            Reason.BAD_TIME,
            judged.requests.column("timestamp").is_null().to_numpy(zero_copy_only=False),
        ),
        (Reason.RETIRED_KEY, _is_retired(judged, rules)),
        *_out_of_bounds(judged),
        (Reason.NO_AGENT, judged.agent.is_absent),
        (Reason.NO_IP, judged.address.is_absent),
    )
    found = [np.where(applies, np.int8(reason), none) for reason, applies in tests]
    first = np.minimum.reduce([np.where(claimed == 0, none, claimed), *found])
    return np.where(first == none, np.int8(0), first)


def sniff(stream: BinaryIO, size: int, chosen: Format | None = None) -> Format | None:
    """The format of a log object, from the first lines that any format knows.

    One that was chosen is only bound to the object's header, where it needs one.
    """
    if chosen and not chosen.needs_header:
        return chosen
    read_bytes = read_lines = 0
    end = min(size, _SNIFF_MOST_STORED_BYTES)
    for block in read_blocks(stream, 0, end, end, _SNIFF_BLOCK_BYTES):
        if not isinstance(block, Block):
            continue
        lines = block.lines()
        fit = np.flatnonzero((lines.lengths > 0) & (lines.lengths <= MOST_LINE_BYTES))
        fit = fit[:_SNIFF_MOST_LINES]
        texts = lines.raw(fit).to_pylist()
        if chosen:
            return chosen.bound(texts)
        if found := detect(texts):
            return found
        read_bytes += len(block.data)
        read_lines += len(fit)
        if read_bytes > _SNIFF_MOST_BYTES or read_lines >= _SNIFF_MOST_LINES:
            break
    return chosen


def _records(lines: Lines) -> Lines:
    """The lines that can be records: neither blank nor too long."""
    is_record = (lines.lengths > 0) & (lines.lengths <= MOST_LINE_BYTES)
    return lines if is_record.all() else lines.take(np.flatnonzero(is_record))


def _all_malformed(lines: Lines) -> Parsed:
    return Parsed(requests(NO_ROWS, {}), np.arange(len(lines)))


def select_pixels(candidates: pa.RecordBatch, paths: tuple[str, ...]) -> pa.RecordBatch:
    """The requests that are views of a pixel: by path, method and status."""
    path = encode(candidates.column("path"))
    is_pixel = np.logical_and.reduce(
        [
            path.look_up(is_path(path.values, paths), False).astype(np.bool_),
            encode(candidates.column("method")).is_in(_METHODS),
            encode(candidates.column("status")).is_in(_STATUSES),
        ]
    )
    return candidates if is_pixel.all() else candidates.filter(pa.array(is_pixel))


def _is_retired(judged: Judged, rules: Rules) -> npt.NDArray[np.bool_]:
    """Which requests came after the key that signed their URL was retired."""
    times_us = [key.ends_at_us for key in rules.keys.keys]
    retired = np.array([NEVER_US if time_us is None else time_us for time_us in [*times_us, None]])
    number = np.append(judged.claims.key_number, np.int8(NO_KEY))[judged.claim]
    return _times_us(judged) >= retired[number]


def _out_of_bounds(judged: Judged) -> list[tuple[Reason, npt.NDArray[np.bool_]]]:
    """Which requests came before, and which after, the time in which their URL counts."""
    from_us, until_us = judged.claims.valid_from_us, judged.claims.valid_until_us
    if (from_us == ALWAYS_US).all() and (until_us == NEVER_US).all():
        return []
    times_us = _times_us(judged)
    return [
        (Reason.NOT_YET, times_us < np.append(from_us, ALWAYS_US)[judged.claim]),
        (Reason.EXPIRED, times_us >= np.append(until_us, NEVER_US)[judged.claim]),
    ]


def _times_us(judged: Judged) -> npt.NDArray[np.int64]:
    """The requests' times in microseconds; 0 where there is none, which is a reason of its own."""
    times = judged.requests.column("timestamp").cast(pa.int64()).fill_null(0)
    return times.to_numpy(zero_copy_only=False)


def _rejects(lines: Lines, rows: Rows, reason: Reason, origin: Origin) -> pa.RecordBatch:
    no_times = pa.nulls(len(rows), TIMESTAMP)
    return shape.rejects(lines, rows, np.full(len(rows), reason, np.int8), no_times, origin)


def _rejected_requests(
    lines: Lines, judged: Judged, reasons: Reasons, origin: Origin
) -> pa.RecordBatch:
    rows = np.flatnonzero(reasons)
    line = judged.requests.column("line").to_numpy()[rows]
    times = judged.requests.column("timestamp").take(pa.array(rows))
    return shape.rejects(lines, line, reasons[rows], times, origin)


def _count_reasons(rejects: list[pa.RecordBatch]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for batch in rejects:
        counts = pc.value_counts(encode(batch.column("reason")).plain())
        counted.update({entry["values"]: entry["counts"] for entry in counts.to_pylist()})
    return counted
