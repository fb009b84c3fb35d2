"""BigQuery's tables: made as `schemas/` says, extended where they are there, parked for where they cannot be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Literal

import pytest
from google.cloud import bigquery

from pipeline import schemas
from pipeline.errors import SetupError
from pipeline.warehouses.bigquery_tables import TableOptions, Tables
from tests.cloud import Cloud
from tests.warehouses.bench import MAIL, NEWS, Bench, meanwhile
from tests.warehouses.builders import MIXED, assert_balanced

DAY_MS = 86_400_000
Field = bigquery.SchemaField


@pytest.fixture
def bench(cloud: Cloud) -> Bench:
    return Bench(cloud, "off")


def table(bench: Bench, name: str) -> bigquery.Table:
    """A table as BigQuery has it."""
    with bench.cloud.client() as client:
        return client.get_table(f"{bench.cloud.project}.{name}")


def make(
    bench: Bench, *columns: bigquery.SchemaField, name: str = NEWS, location: str = "US"
) -> None:
    """Makes a table as its user may have made it."""
    with bench.cloud.client() as client:
        dataset = bigquery.Dataset(f"{bench.cloud.project}.{name.partition('.')[0]}")
        dataset.location = location
        client.create_dataset(dataset, exists_ok=True)
        client.create_table(bigquery.Table(f"{bench.cloud.project}.{name}", columns))


def drop(bench: Bench, name: str = NEWS) -> None:
    with bench.cloud.client() as client:
        client.delete_table(f"{bench.cloud.project}.{name}")


def shape(found: bigquery.Table) -> list[tuple[str, str, str, str]]:
    """The columns of a table: name, type, mode, description."""
    return [(each.name, each.field_type, each.mode, each.description) for each in found.schema]


def defined(schema: str) -> list[tuple[str, str, str, str]]:
    """The columns as the schema's file has them."""
    return [(each.name, each.type, each.mode, each.description) for each in schemas.table(schema)]


# New tables


@pytest.mark.parametrize("unit", ["day", "hour"])
def test_tables_of_views_are_made_as_asked(bench: Bench, unit: Literal["day", "hour"]) -> None:
    asked = bench.having(tables=TableOptions(unit, expiry_days=400, require_partition_filter=True))
    bench.cloud.put("a.log", MIXED)
    assert asked.run().is_clean
    for name in (NEWS, MAIL):
        made = table(bench, name)
        assert shape(made) == defined("event")
        assert made.description == "Views of pixels, each once; written by Pixelship."
        partitions = made.time_partitioning
        assert (partitions.type_, partitions.field) == (unit.upper(), "timestamp")
        assert partitions.expiration_ms == 400 * DAY_MS
        assert made.require_partition_filter
        assert made.clustering_fields == ["key"]


def test_partitions_are_kept_for_ever_and_queried_freely_by_default(bench: Bench) -> None:
    bench.put("a.log", "one")
    bench.run()
    made = table(bench, NEWS)
    assert (made.time_partitioning.type_, made.time_partitioning.expiration_ms) == ("DAY", None)
    assert not made.require_partition_filter


@pytest.mark.parametrize(
    ("name", "partitions", "clusters"),
    [
        ("rejects", "timestamp", ["reason", "source_object"]),
        ("bot_hits", "hour", None),
        ("objects", None, ["name"]),
        ("batches", "loaded_at", None),
    ],
)
def test_the_bookkeeping_stays_whatever_is_asked_of_views(
    bench: Bench, name: str, partitions: str | None, clusters: list[str] | None
) -> None:
    options = TableOptions("hour", expiry_days=1, require_partition_filter=True)
    with bench.having(tables=options).open():
        pass
    made = table(bench, f"pixelship.{name}")
    assert shape(made) == defined(name)
    assert made.description
    assert made.clustering_fields == clusters
    assert not made.require_partition_filter
    if partitions is None:
        assert made.time_partitioning is None
    else:
        by = made.time_partitioning
        assert (by.type_, by.field, by.expiration_ms) == ("DAY", partitions, None)


# Tables that are there

PRX = (
    Field("timestamp", "TIMESTAMP"),
    *(Field(name, "STRING") for name in ("user_id", "key", "canonical", "remote_agent")),
    *(Field(name, "STRING") for name in ("remote_referrer", "remote_ip")),
    *(Field(name, "INTEGER") for name in ("city_geoname_id", "country_geoname_id")),
)


@pytest.mark.parametrize("dedupe", ["view", "merge", "off"])
def test_a_table_of_nine_columns_is_extended_and_loaded(cloud: Cloud, dedupe: Any) -> None:
    bench = Bench(cloud, dedupe)
    make(bench, *PRX, Field("mine", "FLOAT", description="the user's own"))
    cloud.ask(f"INSERT INTO `{NEWS}` (key, mine) VALUES ('old', 1.5)")
    bench.put("a.log", "one")
    assert bench.run().is_clean
    extended = table(bench, NEWS)
    assert [each.name for each in extended.schema[:10]] == [each.name for each in (*PRX, extended.schema[9])]  # fmt: skip
    assert {each.name for each in extended.schema} == {name for name, *_ in defined("event")} | {"mine"}  # fmt: skip
    assert extended.time_partitioning is None
    told = {row["key"]: row for row in bench.rows(NEWS)}
    assert (told["old"]["mine"], told["old"]["event_id"]) == (1.5, None)
    assert (told["key of one"]["mine"], told["key of one"]["event_id"]) == (None, "one")


def test_columns_are_found_whatever_their_case_and_order(bench: Bench) -> None:
    make(
        bench, Field("Event_ID", "STRING"), Field("KEY", "STRING"), Field("Timestamp", "TIMESTAMP")
    )
    bench.put("a.log", "one")
    assert bench.run().is_clean
    assert len(table(bench, NEWS).schema) == len(schemas.table("event"))
    noon = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)
    found = bench.cloud.ask(f"SELECT event_id, key, timestamp FROM `{NEWS}`")
    assert [tuple(row.values()) for row in found] == [("one", "key of one", noon)]


Change = Callable[[Bench], object]


def deny(what: str = "all", name: str | None = NEWS) -> Change:
    dataset, _, of = (name or "").partition(".")
    return lambda bench: bench.cloud.bigquery.deny(
        bench.cloud.project, dataset or None, of or None, what=what
    )


def allow(bench: Bench) -> None:
    bench.cloud.bigquery.allow(bench.cloud.project)


def lacking(what: str) -> Change:
    """A table without our columns, and without a permission on it."""

    def change(bench: Bench) -> None:
        make(bench, *PRX)
        deny(what)(bench)

    return change


@pytest.mark.parametrize(
    ("spoil", "why", "mend"),
    [
        pytest.param(
            lambda bench: bench.refuse(NEWS), "a view has its name", drop, id="a view",
        ),
        pytest.param(
            lambda bench: make(bench, Field("key", "INTEGER")),
            "its column key is INTEGER, not STRING", drop, id="another type",
        ),
        pytest.param(
            lambda bench: make(bench, Field("Key", "STRING", "REPEATED")),
            "its column key is an array, not STRING", drop, id="an array",
        ),
        pytest.param(
            lambda bench: make(bench, Field("mine", "STRING", "REQUIRED")),
            "its column mine is REQUIRED: drop NOT NULL from it",
            lambda bench: bench.cloud.ask(f"ALTER TABLE `{NEWS}` ALTER COLUMN mine DROP NOT NULL"),
            id="a column of the user's that may not be null",
        ),
        pytest.param(
            lambda bench: make(bench, Field("timestamp", "TIMESTAMP", "REQUIRED")),
            "its column timestamp is REQUIRED: drop NOT NULL from it",
            lambda bench: bench.cloud.ask(f"ALTER TABLE `{NEWS}` ALTER COLUMN timestamp DROP NOT NULL"),
            id="a column of ours that may not be null",
        ),
        pytest.param(
            deny("create_datasets", None),
            "the dataset news is missing and may not be created", allow, id="no dataset",
        ),
        pytest.param(
            deny("write"), "it is missing and may not be created", allow, id="no table",
        ),
        pytest.param(
            lacking("write"), "it lacks event_id, host, browser,", allow, id="no columns",
        ),
        pytest.param(
            lacking("all"), "BigQuery says: Access Denied: Table", allow, id="nothing to be seen",
        ),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_loaded_parks_its_rows_until_it_is_mended(
    bench: Bench, spoil: Change, why: str, mend: Change
) -> None:
    with bench.open():
        pass
    spoil(bench)
    bench.put("a.log", "one", "two")
    report = bench.run()
    assert (report.batches, report.destinations, report.parked) == (["00000001"], {}, {NEWS: 2})
    assert report.parked_why[NEWS].startswith(why)
    assert not report.parked_why[NEWS].endswith(".")
    assert bench.run().parked == {NEWS: 2}
    mend(bench)
    report = bench.run()
    assert (report.is_clean, report.batches, report.unparked) == (True, [], {NEWS: 2})
    assert bench.ids() == ["one", "two"]
    assert_balanced(bench)


def test_other_tables_are_loaded_meanwhile(bench: Bench) -> None:
    make(bench, Field("key", "INTEGER"))
    bench.cloud.put("a.log", MIXED)
    report = bench.run()
    assert (report.destinations, report.parked) == ({MAIL: 1}, {NEWS: 2})
    assert_balanced(bench)


# Bookkeeping that is there


def test_bookkeeping_that_cannot_be_loaded_is_told_before_anything_is_planned(bench: Bench) -> None:
    for columns, why in (
        ([Field("name", "INTEGER")], "its column name is INTEGER, not STRING"),
        ([Field("name", "STRING")], "its column name is NULLABLE, and cannot be made REQUIRED"),
        ([Field("name", "STRING", "REQUIRED")], "its column size is missing, and cannot be made"),
    ):
        make(bench, *columns, name="pixelship.objects")
        bench.put("a.log", "one")
        with pytest.raises(SetupError, match=rf"pixelship\.objects cannot be loaded: {why}"):
            bench.run()
        drop(bench, "pixelship.objects")
    assert bench.log().view().last_id == "00000000"
    assert bench.run().destinations == {NEWS: 1}


def test_bookkeeping_of_an_earlier_version_is_given_the_columns_it_lacks(bench: Bench) -> None:
    earlier = [
        Field(each.name, each.type, each.mode)
        for each in schemas.table("rejects")
        if each.name != "detail"
    ]
    make(bench, *earlier, name="pixelship.rejects")
    bench.cloud.put("a.log", b"px1 what is this\n")
    bench.run()
    (row,) = bench.rows("pixelship.rejects")
    assert row["detail"] == "the line is not in its log's format"


# Several runs at once


def test_runs_that_make_the_same_tables_at_once_agree(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = bigquery.Client.create_table
    for name in ("a.log", "b.log"):
        bench.put(name, name)
    for pattern, created in (("a.log", "objects"), ("b.log", "pageviews")):
        rival = bench.with_state(f"rival of {pattern}")

        def create_second(
            client: bigquery.Client, wanted: bigquery.Table, *args: Any,
            created: str = created, rival: Bench = rival, pattern: str = pattern, **options: Any,
        ) -> bigquery.Table:  # fmt: skip
            if wanted.table_id == created:
                monkeypatch.setattr(bigquery.Client, "create_table", create)
                rival.run("[ab].log" if pattern == "a.log" else pattern)
            return create(client, wanted, *args, **options)

        drop_all(bench)
        monkeypatch.setattr(bigquery.Client, "create_table", create_second)
        assert bench.run(pattern).is_clean
        assert shape(table(bench, NEWS)) == defined("event")


def drop_all(bench: Bench) -> None:
    with bench.cloud.client() as client:
        for dataset in client.list_datasets():
            client.delete_dataset(dataset.reference, delete_contents=True)


def test_runs_that_extend_a_table_at_once_agree(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(bench, *PRX)
    bench.put("a.log", "one")
    rival = bench.with_state("rival")
    update = bigquery.Client.update_table
    monkeypatch.setattr(
        bigquery.Client, "update_table",
        meanwhile(update, rival.run),
    )  # fmt: skip
    assert bench.run().is_clean
    assert [each.name for each in table(bench, NEWS).schema] == [
        name for name, *_ in defined("event")
    ]
    assert bench.ids() == ["one", "one"]  # two state folders are two installations


def test_a_table_that_others_keep_changing_is_parked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(bench, *PRX)
    bench.put("a.log", "one")
    update = bigquery.Client.update_table

    def update_late(
        client: bigquery.Client, wanted: bigquery.Table, *args: Any, **options: Any
    ) -> Any:
        other = client.get_table(wanted.reference)
        other.description = "changed"
        update(client, other, ["description"])
        return update(client, wanted, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(bigquery.Client, "update_table", update_late)
        assert bench.run().parked_why == {NEWS: "others keep changing it"}
    assert bench.run().unparked == {NEWS: 1}


def test_a_table_that_is_dropped_while_it_is_loaded_is_parked_and_made_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put("a.log", "one")
    prepare = Tables.prepare

    def prepare_in_vain(self: Tables, name: str, schema: str = "event") -> str:
        location = prepare(self, name, schema)
        if name == NEWS:
            drop(bench)
        return location

    with monkeypatch.context() as patch:
        patch.setattr(Tables, "prepare", prepare_in_vain)
        assert bench.run().parked_why[NEWS].startswith("BigQuery says: Not found: Table")
    assert bench.run().unparked == {NEWS: 1}
    assert bench.ids() == ["one"]
