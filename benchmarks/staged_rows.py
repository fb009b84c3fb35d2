"""Ours from staged rows alone: the shards of a batch, staged beforehand, are loaded and entered.

    python -m benchmarks.staged_rows --project P --state gs://B/F --manifest gs://B/F/manifest.json LOG

It is what `pixelship load` does after staging, and what it does again when it was killed there.
"""

from __future__ import annotations

import argparse
import json

from pipeline.sources import Anywhere, Search
from pipeline.staging import Staged
from pipeline.storage import open_file
from pipeline.warehouses.bigquery import BigQueryOptions, BigQueryWarehouse


def main() -> None:
    """Loads the shards that the manifest names, and prints the balance sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("logs", nargs="+", metavar="LOG")
    given = parser.parse_args()
    with open_file(given.manifest) as stream:
        staged = Staged.from_json(json.loads(stream.read()))
    with BigQueryWarehouse(BigQueryOptions(given.project, given.state)) as warehouse:
        batch = warehouse.plan(Anywhere().list_objects(Search(given.logs)).objects)
        if batch is None:
            raise SystemExit("The state folder is not fresh.")
        print(json.dumps(warehouse.commit(batch, staged).to_json()))


if __name__ == "__main__":
    main()
