"""Write access logs of a pixel server, the same for the same seed, and the counts in them.

    python -m benchmarks.generate --lines 1000000 --files 1 --profile typical \\
        --format tsv --compression gz

Formats: `tsv`, tab separated with nginx's default escaping (`\\xXX`, an empty value is `-`, a last
field `.`), and `json`, nginx's `escape=json`. Next to the logs stands `manifest.json`: the secret,
and what each file holds by verdict. Files that the manifest already names are kept.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal, cast

from backports import zstd

from benchmarks.task import Counts
from benchmarks.traffic import Draw, Profile, Repertoire, draw, fresh_hit, make_repertoire, verdicts

Format = Literal["tsv", "json"]
Compression = Literal["gz", "zst", "none"]
Line = tuple[str, ...]

GENERATOR_VERSION: Final = 1
DEFAULT_SECRET: Final = "bench-secret"  # noqa: S105  (signs made-up URLs only)
DATA_FOLDER: Final = Path(__file__).parent / ".data"

_HOST: Final = "px.example.org"
_LINES_PER_WRITE: Final = 50_000
_TO_ESCAPE: Final = re.compile(r"[^ !#-\[\]-~]")


@dataclass(frozen=True)
class DataSet:
    """Which logs to write."""

    profile: Profile = "typical"
    format: Format = "tsv"
    compression: Compression = "gz"
    lines: int = 1_000_000
    seed: int = 1

    @property
    def folder_name(self) -> str:
        """The folder of its logs below `DATA_FOLDER`."""
        parts = (self.profile, self.format, self.compression, self.lines, f"seed{self.seed}")
        return "-".join(map(str, parts))

    def file_name(self, index: int) -> str:
        """The name of its log number `index`."""
        suffix = "" if self.compression == "none" else f".{self.compression}"
        return f"px-{index:03d}.{self.format}{suffix}"


@dataclass(frozen=True)
class Manifest:
    """What stands in a folder of logs: counts by file name."""

    secret: str
    files: dict[str, Counts]

    def total(self, names: list[str]) -> Counts:
        """The counts of some of the files."""
        counts = Counts(0, 0, 0)
        for name in names:
            counts += self.files[name]
        return counts


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder, or None where there is none of this generator's version."""
    path = folder / "manifest.json"
    if not path.exists():
        return None
    content = json.loads(path.read_text())
    if content["generator_version"] != GENERATOR_VERSION:
        return None
    files = {name: Counts.of_json(counts) for name, counts in content["files"].items()}
    return Manifest(content["secret"], files)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put a manifest beside its logs."""
    content = {
        "generator_version": GENERATOR_VERSION,
        "secret": manifest.secret,
        "files": {name: counts.to_json() for name, counts in sorted(manifest.files.items())},
        "total": manifest.total(list(manifest.files)).to_json(),
    }
    (folder / "manifest.json").write_text(json.dumps(content, indent=1) + "\n")


def escape_tsv(value: str) -> str:
    """As nginx escapes by default: `"`, `\\`, control bytes and bytes over 126 as `\\xXX`."""
    if not value:
        return "-"
    return _TO_ESCAPE.sub(lambda m: "".join(f"\\x{b:02X}" for b in m[0].encode()), value)


def escape_json(value: str) -> str:
    """As nginx escapes under `escape=json`: as in a JSON string, bytes over 127 left as they are."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


_ESCAPES: Final[dict[Format, Callable[[str], str]]] = {"tsv": escape_tsv, "json": escape_json}


def _tsv_line(line: Line) -> str:
    msec, request_id, address, method, uri, status, agent, referrer, cookie = line
    return (
        f"px1\t{msec}\t{request_id}\t{address}\t-\t{method}\t{_HOST}\t{uri}\t{status}\t"
        f"{agent}\t{referrer}\t{cookie or '-'}\t.\n"
    )


def _json_line(line: Line) -> str:
    msec, request_id, address, method, uri, status, agent, referrer, cookie = line
    return (
        f'{{"format":"px1","msec":{msec},"request_id":"{request_id}","remote_addr":"{address}",'
        f'"http_x_forwarded_for":"","request_method":"{method}","host":"{_HOST}",'
        f'"request_uri":"{uri}","status":{status},"http_user_agent":"{agent}",'
        f'"http_referer":"{referrer}","cookie__pxid":"{cookie}"}}\n'
    )


_WRITERS: Final[dict[Format, Callable[[Line], str]]] = {"tsv": _tsv_line, "json": _json_line}


class _Texts:
    """The repertoire's texts, escaped for one format; what a line refers to by index."""

    def __init__(self, repertoire: Repertoire, escape: Callable[[str], str], secret: str) -> None:
        self._escape = escape
        self._secret = secret
        self.hits = [
            [(escape(hit.uri), escape(hit.page)) for hit in hits]
            for hits in (
                repertoire.signed,
                [],
                repertoire.unsigned,
                repertoire.tampered,
                repertoire.signed,
            )
        ]
        self.hits.append([(escape(uri), escape("")) for uri in repertoire.other])
        self.referrers = [escape(referrer) for referrer in repertoire.referrers]
        self.agents = [escape(agent) for agent in repertoire.agents]
        self.nothing = escape("")

    def fresh(self, recipient: int, hit: int) -> tuple[str, str]:
        """A request of its own; its characters need no escaping."""
        return fresh_hit(recipient, hit, self._secret).uri, self.nothing


def _lines(drawn: Draw, repertoire: Repertoire, texts: _Texts) -> Iterator[Line]:
    """The fields of each line, escaped; the cookie empty for none."""
    columns = zip(
        drawn.kind.tolist(),
        drawn.hit.tolist(),
        drawn.visitor.tolist(),
        drawn.referrer.tolist(),
        drawn.recipient.tolist(),
        drawn.head.tolist(),
        drawn.not_modified.tolist(),
        drawn.msec.tolist(),
        repertoire.agent_of[drawn.visitor].tolist(),
        strict=True,
    )
    statuses = ("200", "200", "200", "200", "302", "404")
    ids, at = drawn.request_ids, 0
    for kind, hit, visitor, referrer, recipient, head, not_modified, msec, agent in columns:
        uri, page = texts.fresh(recipient, hit) if kind == 1 else texts.hits[kind][hit]
        cookie = "" if kind == 4 else repertoire.cookies[visitor]
        if kind < 4 and not cookie and uri.startswith("/i."):
            uri = "/r." + uri[3:]
        yield (
            f"{msec // 1000}.{msec % 1000:03d}",
            ids[at : at + 32],
            repertoire.addresses[visitor],
            "HEAD" if head else "GET",
            uri,
            "304" if not_modified and kind < 4 else statuses[kind],
            texts.agents[agent],
            page
            if referrer == -1
            else texts.referrers[referrer]
            if referrer >= 0
            else texts.nothing,
            cookie,
        )
        at += 32


@contextmanager
def _open(path: Path, compression: Compression) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if compression == "gz":
            with gzip.GzipFile("", "wb", zlib.Z_DEFAULT_COMPRESSION, file, mtime=0) as log:
                yield cast("IO[bytes]", log)
        elif compression == "zst":
            with zstd.open(file, "wb", level=3) as log:
                yield cast("IO[bytes]", log)
        else:
            yield file


def write_log(path: Path, data: DataSet, drawn: Draw, repertoire: Repertoire, secret: str) -> None:
    """One log file; appears under its name when it is whole."""
    texts = _Texts(repertoire, _ESCAPES[data.format], secret)
    write = _WRITERS[data.format]
    partial = path.with_suffix(path.suffix + ".partial")
    pending: list[str] = []
    with _open(partial, data.compression) as log:
        for line in _lines(drawn, repertoire, texts):
            pending.append(write(line))
            if len(pending) == _LINES_PER_WRITE:
                log.write("".join(pending).encode())
                pending.clear()
        log.write("".join(pending).encode())
    partial.rename(path)


def generate(
    data: DataSet, files: int, folder: Path, secret: str = DEFAULT_SECRET
) -> tuple[Manifest, list[Path]]:
    """Make sure that `folder` holds the first `files` logs of a data set."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = read_manifest(folder)
    if manifest is None or manifest.secret != secret:
        manifest = Manifest(secret, {})
    paths = [folder / data.file_name(index) for index in range(files)]
    repertoire: Repertoire | None = None
    for index, path in enumerate(paths):
        if path.name in manifest.files and path.exists():
            continue
        repertoire = repertoire or make_repertoire(data.seed, secret)
        drawn = draw(data.profile, data.seed, index, data.lines)
        write_log(path, data, drawn, repertoire, secret)
        counts = Counts.of_verdicts(verdicts(drawn, repertoire))
        manifest.files[path.name] = counts
        write_manifest(folder, manifest)
    return manifest, paths


def main() -> None:
    """Write the logs that the command line asks for; print their folder and counts."""
    parser = argparse.ArgumentParser(description="Write access logs of a pixel server.")
    parser.add_argument("--lines", type=int, default=1_000_000, help="lines a file")
    parser.add_argument("--files", type=int, default=1)
    parser.add_argument("--profile", choices=("typical", "worst"), default="typical")
    parser.add_argument("--format", choices=("tsv", "json"), default="tsv")
    parser.add_argument("--compression", choices=("gz", "zst", "none"), default="gz")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--secret", default=DEFAULT_SECRET)
    parser.add_argument("--out", type=Path, help="folder; one below benchmarks/.data by default")
    given = parser.parse_args()
    data = DataSet(given.profile, given.format, given.compression, given.lines, given.seed)
    folder = given.out or DATA_FOLDER / data.folder_name
    manifest, paths = generate(data, given.files, folder, given.secret)
    print(json.dumps({"folder": str(folder), **manifest.total([p.name for p in paths]).to_json()}))


if __name__ == "__main__":
    main()
