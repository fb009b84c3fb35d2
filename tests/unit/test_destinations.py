from __future__ import annotations

import pytest

from pipeline.destinations import is_permitted


@pytest.mark.parametrize(
    "name", ["news.pageviews", "a.b", "A1_.b_2", "n" * 128 + ".t", "d." + "t" * 128]
)
def test_a_dataset_and_a_table_are_a_destination(name: str) -> None:
    assert is_permitted(name)


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "news", "news.", ".pageviews", "a.b.c", "news pageviews", "news.page views", "news.page-views",
        "1news.pageviews", "news.1", "_news.pageviews", "news._pageviews", "n" * 129 + ".t", "d." + "t" * 129,
        "pixelship.batches", "PixelShip.x", "news.pixelship", "information_schema.tables",
        "INFORMATION_SCHEMA.TABLES", "news.INFORMATION_SCHEMA", "néws.pageviews", "news.page\u200bviews",
        "news.pageviews\n", " news.pageviews", "news.`x`", 'news."x"', "news.x;drop", "news/../x.y", "news.١",
    ],
)  # fmt: skip
def test_other_names_are_refused(name: str) -> None:
    assert not is_permitted(name)


def test_the_operator_allows_by_globs() -> None:
    assert is_permitted("news.pageviews", ["mail.*", "news.page*"])
    assert not is_permitted("news.pageviews", ["mail.*"])
    assert not is_permitted("news.pageviews", [])
    assert not is_permitted("news.pageviews", ["News.*"])
    assert not is_permitted("pixelship.batches", ["*"])
