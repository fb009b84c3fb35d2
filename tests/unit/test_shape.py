from __future__ import annotations

import pyarrow as pa

from pipeline import formats, schemas
from pipeline.blocks import Block
from pipeline.engine import Engine, Outcome
from pipeline.model import Reason
from pipeline.shape import Origin
from tests.logs import GOOGLEBOT, RULES, Hit, log, tsv

ORIGIN = Origin("b1", "access.log", "prefix", "nginx-tsv")


def outcome(*hits: Hit, junk: bytes = b"") -> Outcome:
    block = Block(0, log(*map(tsv, hits)) + junk)
    return Engine(RULES).process(block, formats.named("nginx-tsv"), ORIGIN)


def plain(batch: pa.RecordBatch) -> pa.Schema:
    """The batch's schema with dictionaries as their values."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in batch.schema
    ]
    return pa.schema(fields)


def test_rows_have_the_columns_of_their_schemas() -> None:
    for found in (
        outcome(Hit(), Hit(user_agent=GOOGLEBOT), Hit(uri=b"/i.gif"), junk=b"x\n"),
        outcome(Hit(uri=b"/x")),
    ):
        assert plain(found.events) == schemas.arrow("event")
        assert plain(found.bot_hits) == schemas.arrow("bot_hits")
        assert {plain(batch) for batch in found.rejects} == {schemas.arrow("rejects")}
        for batch in (found.events, found.bot_hits, *found.rejects):
            batch.validate(full=True)


def test_required_columns_are_never_null() -> None:
    found = outcome(
        Hit(request_id=b"-", host=b"-", referrer=None),
        Hit(user_agent=GOOGLEBOT),
        Hit(uri=b"/i.gif"),
        junk=b"x\n",
    )
    for batch in (found.bot_hits, *found.rejects):
        required = [field.name for field in batch.schema if not field.nullable]
        assert required
        assert [name for name in required if batch.column(name).null_count] == []
    for name in ("timestamp", "event_id"):  # of views all columns are nullable, but not these two
        assert found.events.num_rows
        assert found.events.column(name).null_count == 0


def test_blocks_join_whatever_they_hold() -> None:
    parts = [
        outcome(Hit()),
        outcome(),
        outcome(Hit(user_agent=b"other", referrer=b"r"), Hit(request_id=b"-"), junk=b"x\n"),
    ]
    events = pa.Table.from_batches([part.events for part in parts]).unify_dictionaries()
    assert events.combine_chunks().column("event_id").to_pylist() == ["5f0c3a9be1"] * 2 + [
        events.column("event_id").to_pylist()[2]
    ]
    rejects = [batch for part in parts for batch in part.rejects]
    joined = pa.Table.from_batches(rejects).unify_dictionaries().combine_chunks()
    assert joined.column("reason").to_pylist() == ["malformed"]


def test_each_reason_brings_its_words() -> None:
    (batch,) = (batch for batch in outcome(Hit(uri=b"/i.gif")).rejects if batch.num_rows)
    (row,) = batch.to_pylist()
    reason = Reason.UNSIGNED
    assert (row["stage"], row["reason"], row["detail"]) == (
        reason.stage.value, reason.label, reason.meaning,
    )  # fmt: skip
