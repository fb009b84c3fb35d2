"""The matrix's traffic: each line has the fate that the generator says, and the place."""

from __future__ import annotations

import gzip
from collections import Counter

from faults.traffic import BOT, BOT_RULE, GZIP, REJECT, SECRET, VIEW, Log, Traffic
from pipeline.options import Rules
from pipeline.signing import key_ring
from tests.logs import read

RULES = Rules(key_ring([SECRET]))


def test_the_job_reads_the_traffic_as_its_author_meant_it() -> None:
    log = Traffic(1).log(600)
    reading = read(b"".join(line.data + b"\n" for line in log.lines), RULES)
    views = Counter(
        (line.destination, line.id, line.key) for line in log.lines if line.fate == VIEW
    )
    assert (
        Counter((row["destination"], row["event_id"], row["key"]) for row in reading.events)
        == views
    )
    assert max(views.values()) > 1, "some views are logged twice"
    rejects = [(at, line.reason) for at, line in Log(log.pieces).portion(0, len(Log(log.pieces).data)) or () if line.fate == REJECT]  # fmt: skip
    assert [(row["source_position"], row["reason"]) for row in reading.rejects] == rejects
    assert len(set(reading.reasons)) == 7
    hits = Counter(
        (line.hour, line.destination, BOT_RULE) for line in log.lines if line.fate == BOT
    )
    assert reading.bot_hits == hits


def test_the_same_seed_gives_the_same_logs() -> None:
    assert Traffic(3).log().data == Traffic(3).log().data != Traffic(4).log().data


def test_a_log_grows_by_pieces_whose_portions_are_known() -> None:
    traffic = Traffic(1)
    log = Log((tuple(traffic.lines(5)),), GZIP)
    longer = log.grown(traffic.lines(3))
    assert longer.data.startswith(log.data)
    assert gzip.decompress(longer.data) == b"".join(line.data + b"\n" for line in longer.lines)
    start, end = len(log.data), len(longer.data)
    tail = longer.portion(start, end)
    assert tail is not None
    assert [line for _, line in tail] == list(longer.lines[5:])
    assert tail[0][0] == len(gzip.decompress(log.data))
    assert len(longer.portion(0, end) or ()) == 8
    assert longer.portion(1, end) is None
