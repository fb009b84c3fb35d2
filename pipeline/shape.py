"""The last stage: judged requests as rows of the tables in `schemas/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import schemas
from pipeline.blocks import Lines
from pipeline.columns import Coded, Codes, Rows, encode, to_text
from pipeline.dialects.contract import Claims
from pipeline.model import ABSENT, EDGE_NUMBERS, EDGE_TEXTS, Reason
from pipeline.options import Rules
from pipeline.transforms.addresses import mask_addresses
from pipeline.transforms.classify import Agents
from pipeline.transforms.enrich import referrer_hosts, user_ids

Reasons = npt.NDArray[np.int8]
_TAKEN = (
    *("timestamp", "host", "referrer", "cookie_pxid", "request_id"),
    *EDGE_TEXTS,
    *EDGE_NUMBERS,
)
_NUMBER = r"^[0-9]{1,18}$"
_HOUR_US = 3_600_000_000
_Column: TypeAlias = Coded | pa.Array | str | None
_REASON_TEXTS = {
    "stage": pa.array(["", *(reason.stage.value for reason in Reason)]),
    "reason": pa.array(["", *(reason.label for reason in Reason)]),
    "detail": pa.array(["", *(reason.meaning for reason in Reason)]),
}
"""For each column the text of every reason, at the reason's number: the numbers have no gaps."""


@dataclass(frozen=True)
class Origin:
    """Where lines come from: the batch, the log object, and the format it is read as.

    `row_prefix` starts the `event_id` of rows whose log has no request id; `header` is the line that
    names the log's columns, where the format needs one.
    """

    batch: str
    object: str
    row_prefix: str
    format_name: str | None
    header: str | None = None


@dataclass(frozen=True)
class Judged:
    """A block's pixel requests with all that was found out about them.

    `claim`, `agent` and `address` are columns of the requests as codes: into the rows of `claims`,
    the first of each request's; into those of `agents`; and into addresses in full. `position` is
    where each line starts. `counts` says for a first claim how many there are (None: one each).
    """

    requests: pa.RecordBatch
    position: npt.NDArray[np.int64]
    claim: Codes
    claims: Claims
    counts: Codes | None
    agent: Coded
    agents: Agents
    address: Coded

    def hits(self, rows: Rows) -> Hits:
        """The events of some requests."""
        claim = self.claim[rows].astype(np.int64)
        if self.counts is None or (self.counts[claim] == 1).all():
            return Hits(rows, claim, np.zeros(len(rows), np.int64))
        counts = self.counts[claim]
        ends = np.cumsum(counts, dtype=np.int64)
        nth = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
        return Hits(np.repeat(rows, counts), np.repeat(claim, counts) + nth, nth)


@dataclass(frozen=True)
class Hits:
    """Events of requests: the request's row, the claim's, and how many of the request came before."""

    request: Rows
    claim: Rows
    nth: Rows

    def __len__(self) -> int:
        return len(self.request)

    def by_claim(self, values: pa.Array) -> Coded:
        """A column of the events from one value for each claim."""
        return Coded(values, self.claim.astype(np.int32)).with_values(values)

    def rows(self, rows: Rows) -> Hits:
        """Some of them, in the order given."""
        return Hits(self.request[rows], self.claim[rows], self.nth[rows])


def sort_by_destination(judged: Judged, hits: Hits) -> tuple[Hits, dict[str, slice]]:
    """The events in the order of their destinations, and which are whose."""
    coded = encode(judged.claims.destination)
    codes = coded.codes[hits.claim]
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    ends = np.append(starts, len(hits))[1:]
    names = coded.values.take(pa.array(found)).to_pylist()
    slices = {name: slice(int(a), int(b)) for name, a, b in zip(names, starts, ends, strict=True)}
    return hits.rows(order), slices


def events(judged: Judged, hits: Hits, origin: Origin, rules: Rules) -> pa.RecordBatch:
    """Events as rows of `schemas/event.json`, text as dictionaries where it repeats."""
    rows = hits.request
    taken = judged.requests.select(list(_TAKEN)).take(pa.array(rows))
    agent, address = judged.agent.rows(rows), _address(judged, hits)
    referrer = _text(taken.column("referrer"))
    claims, agents = judged.claims, judged.agents
    cookie = to_text(taken.column("cookie_pxid"))
    known = pc.coalesce(hits.by_claim(claims.user_id).plain(), cookie)
    key_ids = pa.array([key.id for key in rules.keys.keys], pa.string())
    columns: Mapping[str, _Column] = {
        "timestamp": taken.column("timestamp"),
        "user_id": user_ids(known, agent.plain(), address.plain(), referrer.plain()),
        "key": hits.by_claim(claims.key),
        "canonical": hits.by_claim(claims.canonical),
        "remote_agent": agent,
        "remote_referrer": referrer,
        "remote_ip": address.with_values(mask_addresses(address.values, rules.addresses)),
        "event_id": _event_ids(taken.column("request_id"), judged.position[rows], hits.nth, origin),
        "client_time": claims.client_time.take(pa.array(hits.claim)),
        "send_id": hits.by_claim(claims.send_id),
        "host": _text(taken.column("host")),
        "browser": agent.with_values(agents.browser),
        "browser_version": agent.with_values(agents.browser_version),
        "os": agent.with_values(agents.os),
        "os_version": agent.with_values(agents.os_version),
        "device": agent.with_values(agents.device),
        "referrer_host": referrer.with_values(referrer_hosts(referrer.values)),
        "params": hits.by_claim(claims.params),
        "extras": hits.by_claim(claims.extras),
        "dialect": encode(claims.dialect).rows(hits.claim),
        "repair": hits.by_claim(claims.repair),
        "key_id": Coded(key_ids, claims.key_number.astype(np.int32)[hits.claim]),
        **{name: _text(taken.column(name)) for name in EDGE_TEXTS},
        **{name: _number(taken.column(name)) for name in EDGE_NUMBERS},
        "batch": origin.batch,
        "source_object": origin.object,
        "source_position": pa.array(judged.position[rows]),
    }
    return _batch("event", len(rows), columns)


def _address(judged: Judged, hits: Hits) -> Coded:
    """The addresses of events, but of those that are to be stored without."""
    address = judged.address.rows(hits.request)
    hidden = judged.claims.hides_address[hits.claim]
    return Coded(address.values, np.where(hidden, np.int32(ABSENT), address.codes))


def bot_hits(judged: Judged, hits: Hits, origin: Origin) -> pa.RecordBatch:
    """Events counted by hour, destination and rule, as rows of `schemas/bot_hits.json`."""
    rows = hits.request
    times = judged.requests.column("timestamp").take(pa.array(rows))
    hour = pc.multiply(pc.divide(times.cast(pa.int64()), _HOUR_US), _HOUR_US).cast(times.type)
    table = pa.table(
        {
            "hour": hour,
            "destination": hits.by_claim(judged.claims.destination).plain(),
            "rule": judged.agent.rows(rows).with_values(judged.agents.rule).plain(),
        }
    )
    counted = table.group_by(table.column_names).aggregate([([], "count_all")]).combine_chunks()
    columns = {name: counted.column(name).combine_chunks() for name in table.column_names}
    count = counted.column("count_all").combine_chunks()
    return _batch(
        "bot_hits",
        len(counted),
        {**columns, "batch": origin.batch, "source_object": origin.object, "hits": count},
    )


def rejects(
    lines: Lines, rows: Rows, reasons: Reasons, times: pa.Array, origin: Origin
) -> pa.RecordBatch:
    """Refused lines with their raw bytes, as rows of `schemas/rejects.json`."""
    code = reasons.astype(np.int32)
    columns: Mapping[str, _Column] = {
        "batch": origin.batch,
        "source_object": origin.object,
        "source_position": pa.array(lines.position[rows]),
        "timestamp": times,
        "format": origin.format_name,
        "header": origin.header,
        "raw": lines.raw(rows),
    }
    texts = {column: Coded(texts, code) for column, texts in _REASON_TEXTS.items()}
    return _batch("rejects", len(rows), {**columns, **texts})


def _event_ids(
    request_id: pa.Array, position: npt.NDArray[np.int64], nth: Rows, origin: Origin
) -> pa.Array:
    """The edge's request id, else the log object's hash and the line's position.

    Of several events of one request all but the first have their number added.
    """
    ids = to_text(request_id)
    if ids.null_count:
        places = pa.array(position).cast(pa.string())
        ids = pc.coalesce(ids, pc.binary_join_element_wise(origin.row_prefix, places, "-"))
    if nth.any():
        numbered = pc.binary_join_element_wise(ids, pa.array(nth).cast(pa.string()), ".")
        ids = pc.if_else(pa.array(nth > 0), numbered, ids)
    return ids


def _text(column: pa.Array) -> Coded:
    coded = encode(column).compact()
    return coded.with_values(to_text(coded.values))


def _number(column: pa.Array) -> pa.Array:
    """Whole numbers, null where the edge wrote none."""
    coded = encode(column).compact()
    is_number = pc.match_substring_regex(coded.values, _NUMBER)
    texts = pc.if_else(is_number, coded.values, pa.scalar(None, coded.values.type))
    return coded.with_values(texts.cast(pa.string()).cast(pa.int64())).plain()


def _batch(table: str, rows: int, columns: Mapping[str, _Column]) -> pa.RecordBatch:
    """A batch with the columns of a schema, null where none is given.

    A column of codes, or one text for all rows, becomes a dictionary.
    """
    arrays, fields = [], []
    for field in schemas.arrow(table):
        column = columns.get(field.name, pa.nulls(rows, field.type))
        if column is None or isinstance(column, str):
            code = ABSENT if column is None else 0
            column = Coded(pa.array([column or ""]), np.full(rows, code, np.int32))
        array = column.dictionary() if isinstance(column, Coded) else column
        arrays.append(array)
        fields.append(field.with_type(array.type))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
