"""What Pixelship costs on Google Cloud, roughly: list prices for what is asked of the services.

Prices in US dollars, region us-central1, before free allowances and discounts, as listed in 2025:
Cloud Storage Standard (https://cloud.google.com/storage/pricing), BigQuery on demand and its logical
storage (https://cloud.google.com/bigquery/pricing), Cloud CDN in North America and Europe
(https://cloud.google.com/cdn/pricing), a load balancer's first five rules
(https://cloud.google.com/vpc/network-pricing), Dataflow's batch workers
(https://cloud.google.com/dataflow/pricing). Load jobs are free. What a run costs (`estimate`) leaves out
the CPU, which depends on where it runs.
"""

from __future__ import annotations

from dataclasses import dataclass

PRICES_OF = "2025"
WRITE_USD = 0.005 / 1000
READ_USD = 0.0004 / 1000
_QUERIED_BYTE_USD = 6.25 / (1 << 40)
LOOKUP_USD = 0.0075 / 10_000
"""A request that the CDN looks up in its cache."""
_EGRESS_USD = ((10, 0.08), (150, 0.055), (float("inf"), 0.03))
"""What the CDN sends out: up to so many TiB a month, the price of a GiB; above 500 TiB it is agreed upon."""
BALANCER_USD = 0.025 * 730
_STORED_GIB_USD = 0.02
_TABLE_GIB_USD, _TABLE_LONG_GIB_USD = 0.02, 0.01
_LONG_DAYS = 90
"""A partition that was not changed for so long costs half."""
_VCPU_HOUR_USD, _GIB_HOUR_USD = 0.056, 0.003557
_GIB = 1 << 30
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
LOGS_TO_ROWS = 3.7
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
            self.reads * READ_USD + self.writes * WRITE_USD + self.queried_bytes * _QUERIED_BYTE_USD
        )


def estimate(stored_bytes: int, objects: int, batches: int, *, merges: bool) -> Cost:
    """The cost of loading so many bytes of log objects in Cloud Storage into one table of BigQuery.

    `merges`: rows are held against those of the same time in the table.
    """
    shards = _TABLES_OF_BATCH * batches + int(stored_bytes * _LOGS_TO_SHARDS) // _SHARD_BYTES
    reads = objects + stored_bytes // _READ_BYTES + shards + _READS_OF_BATCH * batches
    writes = _WRITES_OF_RUN + _WRITES_OF_BATCH * batches + shards
    queried_bytes = max(int(stored_bytes * LOGS_TO_ROWS), _LEAST_MERGED_BYTES * batches)
    return Cost(reads, writes, queried_bytes if merges else 0)


def egress_usd(sent_bytes: float) -> float:
    """What the CDN asks for a month's bytes to clients."""
    usd, from_gib, gib = 0.0, 0.0, sent_bytes / _GIB
    for until_tib, price in _EGRESS_USD:
        until_gib = min(until_tib * 1024, gib)
        usd += max(until_gib - from_gib, 0) * price
        from_gib = until_gib
    return usd


def stored_usd(stored_bytes: float) -> float:
    """A month of bytes in Cloud Storage."""
    return stored_bytes / _GIB * _STORED_GIB_USD


def table_usd(day_bytes: float, days: int) -> float:
    """A month of tables that get so many bytes a day and keep them for so many days."""
    young = min(days, _LONG_DAYS)
    return day_bytes / _GIB * (young * _TABLE_GIB_USD + (days - young) * _TABLE_LONG_GIB_USD)


def dataflow_usd(gib_of_vcpu: float) -> float:
    """An hour of a batch worker's vCPU with its memory."""
    return _VCPU_HOUR_USD + gib_of_vcpu * _GIB_HOUR_USD
