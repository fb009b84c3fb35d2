"""Imported by the server that runs are forked from: all that a run needs is there by then."""

from __future__ import annotations

import logging
from importlib import import_module

NEEDED = (
    "faults.child",
    "pipeline.batchlog",
    "pipeline.beam.graph",
    "pipeline.beam.options",
    "pipeline.cli",
    "pipeline.cli.balance",
    "pipeline.duplicates",
    "pipeline.load",
    "pipeline.sources.cloud_storage",
    "pipeline.warehouses.bigquery",
    "pipeline.warehouses.duckdb",
    "pyarrow.dataset",
)

logging.disable()  # Beam warns of what it lacks
for name in NEEDED:
    import_module(name)
logging.disable(logging.NOTSET)
import_module("pipeline.transforms.classify")._parser()
