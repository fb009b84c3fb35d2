"""The edge's documents: what they tell to set up is there, and gives logs that hold what is needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.formats import cloudflare, cloudfront, cloudfront_json
from tests.test_docs import section, tables

ROOT = Path(__file__).parents[1]
EDGE = (ROOT / "docs" / "edge.md").read_text(encoding="utf-8")
NGINX = sorted((ROOT / "nginx").glob("*.conf"))


def test_every_file_for_nginx_is_in_its_readme_with_its_context() -> None:
    readme = (ROOT / "nginx" / "README.md").read_text(encoding="utf-8")
    (files, *_) = [rows for rows in [tables(section(readme, "nginx for the pixel"))] if rows]
    listed = {name.strip("`"): context.strip("`") for name, context, _ in files}
    assert set(listed) == {path.name for path in NGINX} | {"pixel.gif"}
    for path in NGINX:
        assert f"Context: {listed[path.name]}\n" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NGINX, ids=lambda path: path.name)
def test_every_file_for_nginx_says_what_why_where_and_what_to_beware_of(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    comment = text.partition("\n\n")[0]
    for part in ("# What: ", "# Why", "https://", "# WARNING: "):
        assert part in comment, part
    whole = (ROOT / "nginx" / "pixelship.conf").read_text(encoding="utf-8")
    assert path.name == "pixelship.conf" or f"include pixelship/{path.name};" in whole


def test_cloudfront_is_told_to_log_all_that_is_read() -> None:
    text = section(EDGE, "Amazon CloudFront").partition("--record-fields")[2].partition("```")[0]
    fields = {word.strip('"').lower() for word in re.findall(r'"[^"]+"|[\w-]+', text)}
    assert fields < set(cloudfront._COLUMNS)
    left_out = set(cloudfront._COLUMNS) - fields
    assert left_out == {"date", "time", "cs(host)"}  # timestamp(ms) and x-host-header say more
    assert fields < {
        name.lower() for names in cloudfront_json._WANTED.values() for (name,) in names
    }


def test_cloudflare_is_told_to_log_all_that_is_read() -> None:
    text = section(EDGE, "Cloudflare").partition('"field_names"')[2].partition("]")[0]
    fields = set(re.findall(r'"(\w+)"', text))
    assert fields == {names[0][0] for names in cloudflare._WANTED.values()}
