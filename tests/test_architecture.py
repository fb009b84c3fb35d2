"""The architecture's rules: who may import whom, what reads the environment, how long a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [
    path
    for folder in ("pipeline", "demo", "benchmarks", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
MOST_LINES = 400


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_keep_to_the_contracts() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path.parent for path in MODULES}
    found = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(settings["tool"]["setuptools"]["packages"]) == found | {"pipeline.schemas"}
    assert all((folder / "__init__.py").exists() for folder in folders)


def test_no_file_is_too_long() -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert {path.stem for path in MODULES}.isdisjoint(
        {"utils", "util", "helpers", "common", "misc"}
    )


def environment_reads(path: Path) -> Iterator[str]:
    """The places where a module reads the environment."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        words = {"environ", "environb", "getenv", "getenvb", "expandvars", "expanduser"}
        named = node.attr if isinstance(node, ast.Attribute) else None
        imported = [each.name for each in node.names] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, (ast.Attribute, ast.ImportFrom)) and words & {named, *imported}:
            yield f"{name(path)}:{node.lineno}"


def test_only_the_command_line_reads_the_environment() -> None:
    clients = PACKAGE / "gcp.py"  # Google's clients are led by variables, in workers too
    outside = [path for path in MODULES if PACKAGE / "cli" not in path.parents and path != clients]
    assert [place for path in outside for place in environment_reads(path)] == []
    inside = [path for path in MODULES if PACKAGE / "cli" in path.parents]
    assert [place.partition(":")[0] for path in inside for place in environment_reads(path)] == [
        "pipeline/cli/ring.py"
    ]


@pytest.mark.parametrize("word", ["time", "datetime", "uuid", "secrets", "random", "os", "socket"])
def test_the_core_has_no_clock_no_chance_and_no_files(word: str) -> None:
    """What may be imported for other ends (parsing an address, say) is listed here, with the module."""
    core = {
        "engine", "shape", "columns", "query", "destinations", "blocks", "inflate", "model",
    }  # fmt: skip
    allowed = {
        "datetime": {"formats/times.py", "dialects/json_data.py"},
        "socket": {"transforms/addresses.py"},
    }
    found = set()
    for path in MODULES:
        inside = path.relative_to(PACKAGE)
        if (
            inside.parts[0] not in {"formats", "dialects", "transforms", "signing"}
            and path.stem not in core
        ):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            if word in names:
                found.add(str(inside))
    assert found <= allowed.get(word, set())
