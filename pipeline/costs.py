"""What loading costs on Google Cloud, roughly: list prices for what a run asks of the services.

Prices in US dollars, region us-central1, before free allowances: Cloud Storage Standard operations
(https://cloud.google.com/storage/pricing) and BigQuery on demand (https://cloud.google.com/bigquery/pricing),
as listed in 2025. Load jobs are free; what a CPU costs depends on where the job runs and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

PRICES_OF = "2025"
_WRITE_USD = 0.005 / 1000
_READ_USD = 0.0004 / 1000
_QUERIED_BYTE_USD = 6.25 / (1 << 40)
_READ_BYTES = 1 << 23
"""A log is read in ranges of so many bytes."""
_WRITES_OF_RUN = 11
_WRITES_OF_BATCH = 15
"""Counted between client and server: the log's entries, manifests, the ledger's files, and listings."""
_READS_OF_BATCH = 5
_TABLES_OF_BATCH = 3
"""A batch has shards of a destination, of rejects and of bots' views at least."""
_SHARD_BYTES = 1 << 24
_LOGS_TO_SHARDS = 0.85
_LOGS_TO_ROWS = 3.7
"""Staged bytes, and bytes as BigQuery counts them in a query, for each stored byte of log; measured
on gzip logs of pixels alone, so others give less."""
_LEAST_MERGED_BYTES = 3 * (10 << 20)
"""A merge is two queries, which name three tables: each counts as 10 MB at least."""


@dataclass(frozen=True)
class Cost:
    """What a run asks for, and its price in US dollars.

    `writes` are those of objects, and listings, which cost the same. `queried_bytes` are without
    those that merging reads of the table: it depends on what is there.
    """

    reads: int
    writes: int
    queried_bytes: int

    @property
    def usd(self) -> float:
        """The price of it all."""
        return (
            self.reads * _READ_USD
            + self.writes * _WRITE_USD
            + self.queried_bytes * _QUERIED_BYTE_USD
        )


def estimate(stored_bytes: int, objects: int, batches: int, *, merges: bool) -> Cost:
    """The cost of loading so many bytes of log objects in Cloud Storage into one table of BigQuery.

    `merges`: rows are held against those of the same time in the table.
    """
    shards = _TABLES_OF_BATCH * batches + int(stored_bytes * _LOGS_TO_SHARDS) // _SHARD_BYTES
    reads = objects + stored_bytes // _READ_BYTES + shards + _READS_OF_BATCH * batches
    writes = _WRITES_OF_RUN + _WRITES_OF_BATCH * batches + shards
    queried_bytes = max(int(stored_bytes * _LOGS_TO_ROWS), _LEAST_MERGED_BYTES * batches)
    return Cost(reads, writes, queried_bytes if merges else 0)
