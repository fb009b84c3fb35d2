"""The objects that a load job's URIs name: `gs://BUCKET/NAME`, with one `*` at most.

https://cloud.google.com/bigquery/docs/batch-loading-data#load-wildcards
https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet#limitations (generations)
https://cloud.google.com/bigquery/quotas#load_jobs (URIs)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from emulators.rules.errors import BigQueryError, invalid

MOST_URIS = 10_000


@dataclass(frozen=True)
class Object:
    """An object that a load job reads; `pattern` is the URI with a `*` that found it, if any."""

    uri: str
    path: Path
    pattern: str | None = None


def find_objects(root: Path, uris: list[str]) -> list[Object]:
    """All objects that the URIs name; not found if any URI matches nothing."""
    found: list[Object] = []
    for uri in uris:
        matches = _find(root, uri)
        if not matches:
            raise BigQueryError("notFound", f"Not found: URI {uri}", uri)
        found += matches
    return found


def _find(root: Path, uri: str) -> list[Object]:
    scheme, _, rest = uri.partition("://")
    bucket, _, name = rest.partition("/")
    if scheme != "gs" or not bucket or not name or "*" in bucket or name.count("*") > 1:
        raise invalid(f"Source URI must be a Google Cloud Storage location: [{uri}]", uri)
    if re.search(r"#\d+$", name):
        raise invalid(f"A source URI may not name a generation: [{uri}]", uri)
    folder = root / bucket
    if "*" not in name:
        path = folder / name
        is_within = folder.resolve() in path.resolve().parents
        return [Object(uri, path)] if is_within and path.is_file() else []
    pattern = re.compile(re.escape(name).replace(r"\*", ".*"), re.DOTALL)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = ((path.relative_to(folder).as_posix(), path) for path in files)
    return [
        Object(f"gs://{bucket}/{key}", path, uri) for key, path in names if pattern.fullmatch(key)
    ]
