"""Datasets may be anywhere: each job runs where its table is."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud import bigquery

from pipeline.errors import SetupError
from tests.cloud import Cloud
from tests.warehouses.bench import Bench
from tests.warehouses.builders import assert_balanced


@pytest.mark.parametrize("dedupe", ["view", "merge"])
def test_a_dataset_may_be_elsewhere_than_the_bookkeeping(cloud: Cloud, dedupe: Any) -> None:
    bench = Bench(cloud, dedupe)
    with cloud.client() as client:
        dataset = bigquery.Dataset(f"{cloud.project}.news")
        dataset.location = "EU"
        client.create_dataset(dataset)
    bench.put("a.log", "one", "two")
    assert bench.run().is_clean
    bench.put("b.log", "two", "three", "one")
    report = bench.run()
    assert report.is_clean
    assert report.total.duplicate == {"view": 0, "merge": 2}[dedupe]
    assert set(bench.ids()) == {"one", "three", "two"}
    with cloud.client() as client:
        where = {
            job.location for job in client.list_jobs() if "pageviews" in str(job.to_api_repr())
        }
    assert where == {"EU"}
    assert_balanced(bench)


def test_new_datasets_are_made_where_asked(cloud: Cloud) -> None:
    bench = Bench(cloud, "off")
    european = bench.having(location="europe-west1")
    bench.put("a.log", "one")
    assert european.run().is_clean
    with bench.cloud.client() as client:
        made = {name: client.get_dataset(name).location for name in ("news", "pixelship")}
    assert made == {"news": "europe-west1", "pixelship": "europe-west1"}
    assert bench.having(location="EUROPE-WEST1").run().is_clean
    with pytest.raises(
        SetupError, match="pixelship is in europe-west1: say --location europe-west1"
    ):
        bench.run()
