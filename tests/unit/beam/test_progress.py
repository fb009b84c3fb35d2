from __future__ import annotations

from pathlib import Path

from pipeline.beam.progress import ProgressFile, read_progress


def test_all_workers_progress_is_added_up(tmp_path: Path) -> None:
    assert read_progress(str(tmp_path)) == (0, 0)
    workers = [ProgressFile(str(tmp_path)) for _ in range(3)]
    assert read_progress(str(tmp_path)) == (0, 0)
    for number, worker in enumerate(workers, 1):
        for _ in range(4):
            worker.advance(1000 * number, number)
    assert read_progress(str(tmp_path)) == (24_000, 24)


def test_a_number_half_written_is_not_counted(tmp_path: Path) -> None:
    ProgressFile(str(tmp_path)).advance(5, 1)
    (tmp_path / "another.progress").write_bytes(b"\1\2\3")
    (tmp_path / "shard.parquet").write_bytes(b"x" * 16)
    assert read_progress(str(tmp_path)) == (5, 1)


def test_where_staging_is_elsewhere_there_is_no_progress(tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "gs:" / "bucket")
    ProgressFile(elsewhere).advance(5, 1)
    assert read_progress(elsewhere) == (0, 0)
    assert list(tmp_path.iterdir()) == []
