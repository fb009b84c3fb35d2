"""The log objects that were loaded or planned, as an Arrow table: a million of them fit.

`last_listed` is the log's own clock (seconds, see `checkpoints`) when the object was last found at
its source; `batch` is the number of the batch that took it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model import LogObject
from pipeline.storage import CLOUD_STORAGE

REMEMBER_DAYS = 400
"""For so long after it was last found at its source an object is known: a copy that is put back from
an archive, or a yearly backfill, is still recognised."""
DAY_S = 86_400
SCHEMA = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("checksum", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("generation", pa.int64(), nullable=False),
        pa.field("batch", pa.int32(), nullable=False),
        pa.field("last_listed", pa.int64(), nullable=False),
    ]
)
NO_OBJECTS = SCHEMA.empty_table()
OBJECT_SCHEMA = pa.schema(list(SCHEMA)[:5])
"""What a log object is, without what became of it."""
_ROWS_AT_ONCE = 10_000
_LAST_LISTED = SCHEMA.get_field_index("last_listed")
_LAST_PART = "[^/]*$"


def columns_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The columns of the log objects that rows speak of, whatever else the rows hold."""
    arrays = [pa.array([row[each.name] for row in rows], each.type) for each in OBJECT_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=OBJECT_SCHEMA)


def taken(objects: pa.Table, batch: int, last_listed: int) -> pa.Table:
    """The rows of objects (OBJECT_SCHEMA) that a batch took."""
    count = objects.num_rows
    stamps = [
        pa.repeat(pa.scalar(value, SCHEMA.field(name).type), count)
        for name, value in (("batch", batch), ("last_listed", last_listed))
    ]
    return pa.Table.from_arrays([*objects.columns, *stamps], schema=SCHEMA)


def joined(tables: Iterable[pa.Table]) -> pa.Table:
    """The rows of all tables, in their order."""
    return pa.concat_tables([NO_OBJECTS, *tables])


def without(table: pa.Table, contents: Sequence[Sequence[str]]) -> pa.Table:
    """The rows of objects that have none of these names with none of these checksums, in pairs.

    A name alone is not enough: log rotation gives it to several contents.
    """
    if not contents:
        return table
    both = pc.binary_join_element_wise(table["name"], table["checksum"], "\n")
    return table.filter(pc.invert(_is_in(both, ["\n".join(pair) for pair in contents])))


def like(table: pa.Table, objects: Sequence[LogObject]) -> list[LogObject]:
    """The objects that have something in common with one of these.

    That is their checksum; in the cloud, their name; among local files, which log rotation renames,
    their folder.
    """
    names = [item.name for item in objects if item.name.startswith(CLOUD_STORAGE)]
    folders = {item.folder for item in objects if not item.name.startswith(CLOUD_STORAGE)}
    is_alike = pc.or_(
        _is_in(table["name"], names), _is_in(table["checksum"], [item.checksum for item in objects])
    )
    if folders:
        folder = pc.replace_substring_regex(table["name"], _LAST_PART, "", max_replacements=1)
        is_alike = pc.or_(is_alike, _is_in(folder, folders))
    return list(_log_objects(table.select(OBJECT_SCHEMA.names).filter(is_alike), objects))


def _log_objects(table: pa.Table, asked: Sequence[LogObject]) -> Iterator[LogObject]:
    """The rows as log objects: where one was asked for itself, just that, to spare memory."""
    same = {item: item for item in asked}
    for batch in table.to_batches(_ROWS_AT_ONCE):
        for row in zip(*(column.to_pylist() for column in batch), strict=True):
            item = LogObject(*row)
            yield same.get(item, item)


def remember(
    table: pa.Table, listed: Sequence[LogObject], would_list: Callable[[str], bool], now_s: int
) -> pa.Table:
    """Notes which objects a listing holds, and forgets those that are long gone.

    An object is gone only where `would_list` says of its name that the listing would hold it: what
    another run looks for, with other patterns, is none of this one's business. It counts as listed
    where the listing has its bytes, under any name, or its name, and it is the largest known of that
    name, which may have grown: all that the planner recognises objects by.
    """
    is_listed = _is_listed(table, listed)
    last = pc.if_else(is_listed, pa.scalar(now_s, pa.int64()), table["last_listed"])
    table = table.set_column(_LAST_LISTED, SCHEMA.field(_LAST_LISTED), last)
    is_old = pc.less(table["last_listed"], now_s - REMEMBER_DAYS * DAY_S)
    gone = [name for name in set(table["name"].filter(is_old).to_pylist()) if would_list(name)]
    return table.filter(pc.invert(pc.and_(is_old, _is_in(table["name"], gone))))


def _is_listed(table: pa.Table, listed: Sequence[LogObject]) -> pa.ChunkedArray:
    named = table.filter(_is_in(table["name"], [item.name for item in listed]))
    largest = named.group_by("name", use_threads=False).aggregate([("size", "max")])
    size = largest["size_max"].take(pc.index_in(table["name"], value_set=largest["name"]))
    is_largest = pc.fill_null(pc.equal(size, table["size"]), False)
    return pc.or_(is_largest, _is_in(table["checksum"], [item.checksum for item in listed]))


def _is_in(column: pa.ChunkedArray, values: Iterable[str] | pa.Array) -> pa.ChunkedArray:
    asked = values if isinstance(values, pa.Array) else pa.array(list(values), pa.string())
    return pc.is_in(column, value_set=asked)
