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
from pipeline.dialects import prx
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

    `query`, `agent` and `address` are columns of the requests as codes: into the rows of `claims`,
    into those of `agents`, and into addresses in full. `position` is where each line starts.
    """

    requests: pa.RecordBatch
    position: npt.NDArray[np.int64]
    query: Codes
    claims: Claims
    agent: Coded
    agents: Agents
    address: Coded

    def by_query(self, rows: Rows, values: pa.Array) -> Coded:
        """A column of some requests from one value for each query string."""
        return Coded(values, self.query[rows]).with_values(values)


def sort_by_destination(judged: Judged, rows: Rows) -> tuple[Rows, dict[str, slice]]:
    """The rows in the order of their destinations, and which are whose."""
    coded = encode(judged.claims.destination)
    codes = coded.codes[judged.query[rows]]
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    ends = np.append(starts, len(rows))[1:]
    names = coded.values.take(pa.array(found)).to_pylist()
    slices = {name: slice(int(a), int(b)) for name, a, b in zip(names, starts, ends, strict=True)}
    return rows[order], slices


def events(judged: Judged, rows: Rows, origin: Origin, rules: Rules) -> pa.RecordBatch:
    """Some requests as rows of `schemas/event.json`, text as dictionaries where it repeats."""
    taken = judged.requests.select(list(_TAKEN)).take(pa.array(rows))
    agent, address = judged.agent.rows(rows), judged.address.rows(rows)
    referrer = _text(taken.column("referrer"))
    cookie = to_text(taken.column("cookie_pxid"))
    claims, agents = judged.claims, judged.agents
    key_ids = pa.array([key.id for key in rules.keys.keys], pa.string())
    columns: Mapping[str, _Column] = {
        "timestamp": taken.column("timestamp"),
        "user_id": user_ids(cookie, agent.plain(), address.plain(), referrer.plain()),
        "key": judged.by_query(rows, claims.key),
        "canonical": judged.by_query(rows, claims.canonical),
        "remote_agent": agent,
        "remote_referrer": referrer,
        "remote_ip": address.with_values(mask_addresses(address.values, rules.addresses)),
        "event_id": _event_ids(taken.column("request_id"), judged.position[rows], origin),
        "host": _text(taken.column("host")),
        "browser": agent.with_values(agents.browser),
        "browser_version": agent.with_values(agents.browser_version),
        "os": agent.with_values(agents.os),
        "os_version": agent.with_values(agents.os_version),
        "device": agent.with_values(agents.device),
        "referrer_host": referrer.with_values(referrer_hosts(referrer.values)),
        "params": judged.by_query(rows, claims.params),
        "extras": judged.by_query(rows, claims.extras),
        "dialect": prx.NAME,
        "repair": judged.by_query(rows, claims.repair),
        "key_id": Coded(key_ids, claims.key_number.astype(np.int32)[judged.query[rows]]),
        **{name: _text(taken.column(name)) for name in EDGE_TEXTS},
        **{name: _number(taken.column(name)) for name in EDGE_NUMBERS},
        "batch": origin.batch,
        "source_object": origin.object,
        "source_position": pa.array(judged.position[rows]),
    }
    return _batch("event", len(rows), columns)


def bot_hits(judged: Judged, rows: Rows, origin: Origin) -> pa.RecordBatch:
    """Some requests counted by hour, destination and rule, as rows of `schemas/bot_hits.json`."""
    times = judged.requests.column("timestamp").take(pa.array(rows))
    hour = pc.multiply(pc.divide(times.cast(pa.int64()), _HOUR_US), _HOUR_US).cast(times.type)
    hits = pa.table(
        {
            "hour": hour,
            "destination": judged.by_query(rows, judged.claims.destination).plain(),
            "rule": judged.agent.rows(rows).with_values(judged.agents.rule).plain(),
        }
    )
    counted = hits.group_by(hits.column_names).aggregate([([], "count_all")]).combine_chunks()
    columns = {name: counted.column(name).combine_chunks() for name in hits.column_names}
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


def _event_ids(request_id: pa.Array, position: npt.NDArray[np.int64], origin: Origin) -> pa.Array:
    """The edge's request id, else the log object's hash and the line's position."""
    ids = to_text(request_id)
    if not ids.null_count:
        return ids
    own = pc.binary_join_element_wise(origin.row_prefix, pa.array(position).cast(pa.string()), "-")
    return pc.coalesce(ids, own)


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
