"""What a batch's decision in the batch log holds of the ledger, and the ledger's rows made of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa

from pipeline import schemas
from pipeline.batchlog import Decision
from pipeline.batchlog.log import MOST_OPEN_DAYS
from pipeline.model import Batch, Fault, LogObject, Tally
from pipeline.warehouses.bigquery_loads import Lot
from pipeline.warehouses.contract import Report, counts

TOO_OLD = (
    "they wait for too long, and BigQuery may no longer know whether they were loaded: "
    "unload their logs with `pixelship unload --batch {}`, and load those again"
)
_BATCH, _OBJECTS, _TOTAL, _FAULTS = "batch", "more_objects", "total", "faults"


def facts_of(entry: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """What a decision keeps of a batch beside its objects: JSON."""
    return {
        _BATCH: {**entry, "loaded_at": entry["loaded_at"].isoformat()},
        _TOTAL: report.total.to_json(),
        _FAULTS: [fault.to_json() for fault in report.faults],
    }


def unpark_facts(
    id_: str, rows: Mapping[str, int], duplicates: Counter[str], known: Sequence[LogObject]
) -> dict[str, Any]:
    """The same for a batch that loaded parked rows: some turned out to be duplicates.

    They were counted as accepted when they were parked, so the ledger gets rows that make up for it.
    """
    by_name = {item.name: item for item in known}
    changes = {name: Tally(accepted=-count, duplicate=count) for name, count in duplicates.items()}
    report = Report([id_])
    for change in changes.values():
        report.total.add(change)
    entry = {
        "batch": id_,
        "kind": "unpark",
        "loaded_at": datetime.now(timezone.utc),
        "objects": 0,
        **counts(report.total),
        "destinations": json.dumps(dict(sorted(rows.items()))),
    }
    objects = [
        {
            **asdict(by_name.get(name, LogObject(name, 0, ""))),
            "batch": id_,
            **counts(change),
            "faults": "[]",
        }
        for name, change in changes.items()
    ]
    return {**facts_of(entry, report), _OBJECTS: objects}


def ledger_rows(decision: Decision) -> dict[str, pa.Table]:
    """The rows for `pixelship.objects` and `pixelship.batches`, by the tables' names."""
    objects = [*decision.objects, *decision.facts.get(_OBJECTS, ())]
    batches = [decision.facts[_BATCH]] if _BATCH in decision.facts else []
    batches = [{**row, "loaded_at": datetime.fromisoformat(row["loaded_at"])} for row in batches]
    return {
        "objects": pa.Table.from_pylist(list(objects), schemas.arrow("objects")),
        "batches": pa.Table.from_pylist(batches, schemas.arrow("batches")),
    }


def report_of(batch: Batch, decision: Decision) -> Report:
    """The report of a batch, by its decision; an empty one where it came to nothing."""
    if _TOTAL not in decision.facts or decision.kind == "unpark":
        return Report(unparked=dict(decision.destinations))
    return Report(
        [batch.id],
        objects=len(decision.objects),
        total=Tally.from_json(decision.facts[_TOTAL]),
        destinations=dict(decision.destinations),
        faults=[Fault(**fault) for fault in decision.facts[_FAULTS]],
    )


def is_too_old(entry: Mapping[str, Any]) -> bool:
    """Whether BigQuery may have forgotten a load job of parked rows, by this machine's clock."""
    age = datetime.now(timezone.utc) - datetime.fromisoformat(entry["parked_at"])
    return age.days >= MOST_OPEN_DAYS


def parked_lot(entry: Mapping[str, Any]) -> Lot:
    """The lot that was parked as an entry."""
    names = ("batch", "table", "rows", "schema", "part", "dedupe")
    return Lot(paths=tuple(entry["paths"]), **{name: entry[name] for name in names})
