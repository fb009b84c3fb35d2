"""DuckDB: one COPY of a SELECT over its own CSV or JSON reader to Parquet.

Nothing is left out: DuckDB has no HMAC, so it is built from sha256 and padded keys. A query string
that decodes to invalid UTF-8 would fail the whole statement; the generated logs have none. Rows
that do not count go, emptied, to partitions of their own, whose row counts are the counts by
verdict.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import duckdb

from benchmarks.peers.partitions import padded_keys, take_counts
from benchmarks.task import (
    BOT_PATTERN,
    COUNTED_METHODS,
    COUNTED_STATUSES,
    LOG_FIELDS,
    OUTPUT_COLUMNS,
    PIXEL_PATHS,
    Counts,
    Job,
    print_counts,
    read_job,
)

_TYPES: Final = {"msec": "DECIMAL(13, 3)", "status": "USMALLINT"}
_UNREAD: Final = ("format", "http_x_forwarded_for", "host")
_SETTINGS: Final = {"preserve_insertion_order": "false", "partitioned_write_flush_threshold": 65536}
_ESCAPED: Final = ("request_uri", "http_user_agent", "http_referer")
_UNESCAPE: Final = r"""
    CASE WHEN contains({0}, '\x')
    THEN url_decode(replace(replace({0}, '%', '%25'), '\x', '%')) ELSE {0} END AS {0}"""

_QUERY: Final = """
COPY (
    WITH lines AS (
        SELECT {fields}, parse_filename(path) AS source_object FROM {source}
    ), parsed AS (
        SELECT *, list_transform(
            string_split(substr(request_uri, instr(request_uri, '?') + 1), '&'),
            lambda p: [
                url_decode(replace(left(p, instr(p, '=') - 1), '+', ' ')),
                url_decode(replace(substr(p, instr(p, '=') + 1), '+', ' '))
            ]
        ) AS pairs,
        CASE WHEN http_referer = '{nothing}' THEN '' ELSE http_referer END AS remote_referrer
        FROM lines
    ), split AS (
        SELECT *,
            list_sort(list_filter(pairs, lambda p: p[1] <> 's')) AS signed,
            pairs[list_position(list_transform(pairs, lambda p: p[1]), 's')][2] AS given
        FROM parsed
    ), named AS (
        SELECT *,
            list_transform(signed, lambda p: p[1]) AS names,
            sha256('{inner}'::BLOB || encode(to_json(signed)::VARCHAR)) AS digest
        FROM split
    ), judged AS (
        SELECT *, CASE
            WHEN request_method NOT IN {methods} OR status NOT IN {statuses}
                OR split_part(request_uri, '?', 1) NOT IN {paths} THEN '-not_pixel'
            WHEN given IS NULL THEN '-unsigned'
            WHEN to_base64(unhex(sha256('{outer}'::BLOB || unhex(digest))))
                <> replace(replace(given, '-', '+'), '_', '/') || '=' THEN '-tampered'
            WHEN regexp_matches(http_user_agent, '{bots}', 'i') THEN '-bot'
            ELSE signed[list_position(names, 'd')][2]
        END AS verdict
        FROM named
    ), shaped AS (
        SELECT
            verdict,
            make_timestamptz((msec * 1000)::BIGINT * 1000) AS timestamp,
            CASE WHEN cookie__pxid = '{nothing}'
                THEN md5(http_user_agent || '-' || remote_addr || '-' || remote_referrer)
                ELSE cookie__pxid END AS user_id,
            signed[list_position(names, 'k')][2] AS key,
            signed[list_position(names, 'c')][2] AS canonical,
            http_user_agent AS remote_agent,
            remote_referrer,
            CASE WHEN contains(remote_addr, ':')
                THEN regexp_replace(array_to_string(list_resize(string_split(
                    split_part(remote_addr, '::', 1), ':'), 3, '0'), ':'), '(:0)+$', '') || '::'
                ELSE regexp_replace(remote_addr, '[0-9]+$', '0') END AS remote_ip,
            request_id AS event_id,
            split_part(split_part(remote_referrer, '/', 3), ':', 1) AS referrer_host,
            CASE WHEN len(names) = 3 THEN '{{}}' ELSE map_from_entries(list_transform(
                list_filter(signed, lambda p: p[1] NOT IN ('k', 'c', 'd')),
                lambda p: {{'k': p[1], 'v': p[2]}}))::JSON::VARCHAR END AS params,
            source_object
        FROM judged
    )
    SELECT {columns}, verdict FROM shaped
) TO '{out}' (
    FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARTITION_BY (verdict)
)"""


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _in_list(values: Iterable[object]) -> str:
    return "(" + ", ".join(repr(value) for value in values) + ")"


def _blob(hexadecimal: str) -> str:
    r"""The text of a BLOB literal, `\xAA\xBB`."""
    return "".join(rf"\x{hexadecimal[i : i + 2]}" for i in range(0, len(hexadecimal), 2))


def _source(job: Job) -> str:
    """The table function that reads the logs with explicit types."""
    names = [n for n in LOG_FIELDS if not (job.is_json and n in _UNREAD)]
    types = {name: _TYPES.get(name, "VARCHAR") for name in names}
    paths = "[" + ", ".join(_text(str(path)) for path in job.files) + "]"
    if job.is_json:
        return (
            f"read_json({paths}, format = 'newline_delimited', columns = {types}, "
            "filename = 'path')"
        )
    return (
        f"read_csv({paths}, delim = '\\t', quote = '', escape = '', header = false, "
        f"auto_detect = false, columns = {types | {'end_mark': 'VARCHAR'}}, "
        "filename = 'path')"
    )


def _fields(job: Job) -> str:
    """The fields the work needs, with nginx's escapes undone where the format has them."""
    names = (name for name in LOG_FIELDS if name not in _UNREAD)
    return ", ".join(
        _UNESCAPE.format(name) if name in _ESCAPED and not job.is_json else name for name in names
    )


def _statement(job: Job) -> str:
    inner, outer = padded_keys(job.secret)
    columns = (
        name
        if name in ("timestamp", "source_object")
        else f"CASE WHEN starts_with(verdict, '-') THEN '' ELSE {name} END AS {name}"
        for name in OUTPUT_COLUMNS
    )
    return _QUERY.format(
        fields=_fields(job),
        source=_source(job),
        nothing="" if job.is_json else "-",
        inner=_blob(inner),
        outer=_blob(outer),
        methods=_in_list(COUNTED_METHODS),
        statuses=_in_list(COUNTED_STATUSES),
        paths=_in_list(PIXEL_PATHS),
        bots=BOT_PATTERN,
        columns=", ".join(columns),
        out=job.out,
    )


def run(job: Job) -> Counts:
    """Do the task."""
    database = duckdb.connect()
    for setting, value in _SETTINGS.items():
        database.execute(f"SET {setting} = {value}")
    database.execute(_statement(job))
    files = job.out.glob("verdict=*/*.parquet")
    return take_counts((path.parent.name.removeprefix("verdict="), path) for path in files)


if __name__ == "__main__":
    print_counts(run(read_job(__doc__)))
