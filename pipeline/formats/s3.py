"""Amazon S3's server access log: fields between spaces, those of the client in quotes.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html (checked 2026-11-21).
Sample:
    79a5…47ef2be bucket [06/Feb/2019:00:00:38 +0000] 192.0.2.3 - 3E57427F3EXAMPLE REST.GET.OBJECT
    i.gif "GET /i.gif?k=a HTTP/1.1" 200 - 113 - 7 - "-" "Mozilla/5.0 (…)" - s9lzHYrF…1234= -
    ECDHE-RSA-AES128-GCM-SHA256 - bucket.s3.us-west-1.amazonaws.com TLSv1.2 - - us-east-1
History: fields are appended: the version id was the last at first, then came the host id, the
signature, the cipher, the authentication, the host and TLS (2018, 2019), the access point (2020),
the ACL (2023) and the region. What is appended next is left unread.

Times are those of the request's arrival. S3 escapes nothing in what the client sent: a quote in a
URL or a header stands as it is. So the request ends where the status and the counts begin, the user
agent at the line's last quote, and between the referrer and it the first `" "` is the border. Nothing
(`-`) may stand in quotes or not. Records of what no client asked for (`S3.EXPIRE.OBJECT`) have no
request, so they are no views.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import Rows, encode, none_where_absent
from pipeline.formats.contract import (
    NO_ROWS,
    Format,
    Parsed,
    Quirks,
    join,
    request_line_columns,
    requests,
)
from pipeline.formats.delimited import matches, split_first
from pipeline.formats.times import from_clf

_HEAD = (
    r'[^ "]+ [^ "]+ \[(?P<time>[^\[\]"]{26})\] (?P<ip>[^ "]+) [^ "]+ (?P<request_id>[^ "]+) '
    r'[A-Z0-9]+\.[^ "]+ [^ "]+ '
)
"""The bucket's owner, the bucket, time, address, requester, request id, operation, key."""
_COUNTS = r'(?P<status>[0-9]{3}|-) [^ "]+ (?:[0-9]+|-) (?:[0-9]+|-) (?:[0-9]+|-) (?:[0-9]+|-)'
"""Status, error code, bytes sent, the object's size, total time, turn-around time."""
_TAIL = r'(?:(?: [^ "]+){5} (?P<host>[^ "]+)(?: (?P<tls_version>[^ "]+))?)?(?: [^ "]*)*'
"""The version id, the host id, the signature, the cipher, the authentication, the host, TLS, more."""
_HEAD_OF, _TAIL_OF = re.compile(_HEAD.encode()), re.compile(_TAIL.encode())
_COUNTS_AFTER_QUOTE = re.compile(b'" ' + _COUNTS.encode() + b' (?=["-])')
_COUNTS_AFTER_NOTHING = re.compile(b"- " + _COUNTS.encode() + b' (?=["-])')
_REQUEST = "^[^ ]*(?: [^ ]*){0,2}$"
"""One with more spaces is two lines that ran into each other."""
_NAMES = ("time", "ip", "request_id", "request", "status", "referrer", "user_agent", "host", "tls_version")  # fmt: skip
_CODED = pa.dictionary(pa.int32(), pa.binary())
_TYPES = {
    0: pa.binary(), 1: _CODED, 2: _CODED, 3: _CODED, 4: _CODED, 5: _CODED, 6: pa.binary(),
}  # fmt: skip


class S3(Format):
    """The format `s3`."""

    name = "s3"
    quirks = Quirks(
        "Amazon S3, server access log",
        lateness="mostly within a few hours",
        order="none",
        delivery="best effort: a record may be missing, or come twice",
        lacks=("cookie", "X-Forwarded-For", "fractions of a second"),
    )

    def recognises(self, line: bytes) -> bool:
        """The whole line must fit."""
        return _match(line) is not None

    def parse(self, lines: Lines) -> Parsed:
        """Lines with no quotes but the log's own by columns, the others singly."""
        fields = split_first(lines, b'"', 6, _TYPES)
        head = pc.extract_regex(fields.column(0), f"^{_HEAD}$")
        coded = encode(fields.column(2))
        counts = pc.extract_regex(coded.values, f"^ {_COUNTS} $")
        status = coded.with_values(pc.struct_field(counts, "status"))
        tail = pc.extract_regex(fields.column(6), f"^{_TAIL}$")
        is_fit = pc.and_(head.is_valid(), tail.is_valid()).to_numpy(zero_copy_only=False)
        is_fit = is_fit & ~status.is_absent & encode(fields.column(4)).is_in([b" "])
        is_fit &= matches(fields.column(1), _REQUEST)
        column = {
            **{name: pc.struct_field(head, name) for name in ("time", "ip", "request_id")},
            "request": fields.column(1),
            "status": status.dictionary(),
            "referrer": fields.column(3),
            "user_agent": fields.column(5),
            **{name: pc.struct_field(tail, name) for name in ("host", "tls_version")},
        }
        if not is_fit.all():
            column = {name: array.filter(pa.array(is_fit)) for name, array in column.items()}
        rows = fields.regular[is_fit]
        regular = Parsed(_requests(rows, column), NO_ROWS)
        others = np.setdiff1d(np.arange(len(lines)), rows, assume_unique=True)
        return join([regular, _singly(lines, others)]) if len(others) else regular


def _requests(rows: Rows, fields: dict[str, pa.Array]) -> pa.RecordBatch:
    column = {name: none_where_absent(array) for name, array in fields.items()}
    column["timestamp"] = from_clf(column.pop("time"))
    column |= request_line_columns(encode(column.pop("request")))
    return requests(rows, column)


def _singly(lines: Lines, rows: Rows) -> Parsed:
    """Lines with quotes of the client's, with nothing where quotes would stand, and damaged ones."""
    matches = [_match(line) for line in lines.raw(rows).to_pylist()]
    is_match = np.array([match is not None for match in matches], np.bool_)
    found = [match for match in matches if match]
    columns = zip(*found, strict=True) if found else [()] * len(_NAMES)
    column = {
        name: pa.array(values, pa.binary()) for name, values in zip(_NAMES, columns, strict=True)
    }
    return Parsed(_requests(rows[is_match], column), rows[~is_match])


def _match(line: bytes) -> tuple[bytes | None, ...] | None:
    """What stands in a line, in the order of `_NAMES`; None where it is no such line."""
    head = _HEAD_OF.match(line)
    if head is None or b"\0" in line or b"\r" in line:
        return None
    at = head.end()
    if line.startswith(b'"', at):
        counts = _COUNTS_AFTER_QUOTE.search(line, at + 1)
    else:
        counts = _COUNTS_AFTER_NOTHING.match(line, at)
    if counts is None:
        return None
    request = line[at + 1 : counts.start()]
    client = _referrer_and_agent(line[counts.end() :])
    tail = client and _TAIL_OF.fullmatch(client[2])
    if client is None or tail is None or not re.search(_REQUEST.encode(), request):
        return None
    named = (head["time"], head["ip"], head["request_id"], request, counts["status"])
    return (*named, client[0], client[1], tail["host"], tail["tls_version"])


def _referrer_and_agent(text: bytes) -> tuple[bytes, bytes, bytes] | None:
    """The referrer, the user agent and all after them; nothing is `-`, in quotes or without."""
    if text.startswith(b"- "):
        referrer, text = b"-", text[2:]
    else:
        border = text.find(b'" "', 1)
        border = border if border > 0 else text.rfind(b'" -', 1)
        referrer, text = text[1:border], text[border + 2 :]
        if border < 1:
            return None
    if text.startswith(b"-"):
        return referrer, b"-", text[1:]
    end = text.rfind(b'"', 1)
    return (referrer, text[1:end], text[end + 1 :]) if end > 0 else None
