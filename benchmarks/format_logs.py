"""A log of made-up requests in each log format, for `benchmarks.formats`; kept below `.data`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import lines_of_json as in_json
from benchmarks import lines_of_text as in_text
from benchmarks.format_traffic import Request, requests
from benchmarks.generate import DATA_FOLDER

_VERSION: Final = 1
_LINES_PER_WRITE: Final = 10_000


@dataclass(frozen=True)
class Writer:
    """How a log is written: a line without its newline, and what stands at the log's top."""

    line: Callable[[Request], str]
    header: tuple[str, ...] = ()


WRITERS: Final[Mapping[str, Writer]] = {
    "nginx-tsv": Writer(in_text.nginx_tsv),
    "nginx-json": Writer(in_json.nginx_json),
    "combined": Writer(in_text.combined),
    "cloudfront": Writer(in_text.cloudfront, in_text.CLOUDFRONT_HEADER),
    "cloudfront-json": Writer(in_json.cloudfront_json),
    "google-lb": Writer(in_json.google_lb),
    "gcs-usage": Writer(in_text.gcs_usage, in_text.GCS_HEADER),
    "s3": Writer(in_text.s3),
    "alb": Writer(in_text.alb),
    "cloudflare": Writer(in_json.cloudflare),
    "fastly": Writer(in_json.fastly),
    "akamai": Writer(in_json.akamai),
    "azure-front-door": Writer(in_json.azure_front_door),
    "caddy": Writer(in_json.caddy),
    "traefik": Writer(in_json.traefik),
}
"""For each format its writer."""


def lines_of(name: str, count: int) -> Iterator[str]:
    """A log's lines, its header first; `count` counts requests."""
    writer = WRITERS[name]
    yield from writer.header
    for request in requests(count):
        line = writer.line(request)
        yield line[: len(line) // 2] if request.is_cut else line


def make_log(name: str, count: int) -> Path:
    """Makes a format's log of so many requests below `benchmarks/.data`, unless it is there."""
    folder = DATA_FOLDER / f"formats-{count}-v{_VERSION}"
    path = folder / f"{name}.log"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    pending: list[str] = []
    with partial.open("w", encoding="utf-8", newline="\n") as log:
        for line in lines_of(name, count):
            pending.append(line)
            if len(pending) == _LINES_PER_WRITE:
                log.write("\n".join(pending) + "\n")
                pending.clear()
        log.write("".join(f"{line}\n" for line in pending))
    partial.rename(path)
    return path
