"""What is built holds all that the package needs, runs where nothing else is, and goes into images."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import duckdb
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.logs import SECRET, Hit, log, tsv

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
SCHEMAS = {path.name for path in (ROOT / "schemas").glob("*.json")}
DEPENDENCIES = ROOT / ".venv-dataflow" / "bin" / "python"
"""Of an environment with what pyproject.toml asks for, and without the package (the Makefile makes it)."""
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NEEDED = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "pipeline", "schemas")
LOOK = """
import json, sys
from pathlib import Path
import pipeline
from pipeline import schemas
assert Path(pipeline.__file__).is_relative_to(sys.argv[1]), pipeline.__file__
print(json.dumps({name: len(schemas.table(name)) for name in sys.argv[2:]}))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An sdist, and a wheel that was built from it."""
    source = tmp_path_factory.mktemp("source")
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, source)
    needs = [Requirement(each) for each in SETTINGS["build-system"]["requires"]]
    isolation = [] if not all(map(_is_installed, needs)) else ["--no-isolation"]
    done = subprocess.run(
        [sys.executable, "-m", "build", *isolation, "--outdir", source / "dist", source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "dist"


def _is_installed(need: Requirement) -> bool:
    try:
        return need.specifier.contains(metadata.version(need.name))
    except metadata.PackageNotFoundError:
        return False


def test_the_sdist_holds_the_schemas(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"schemas/{name}" for name in SCHEMAS} <= names
    assert {"pipeline/py.typed", "pipeline/cli/__init__.py", "LICENSE"} <= names


def test_the_wheel_holds_the_schemas_and_nothing_foreign(built: Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
    assert {f"pipeline/schemas/{name}" for name in SCHEMAS} <= names
    assert "pipeline/py.typed" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"pipeline", "pixelship"}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "pipeline").rglob("*.py")}
    assert modules <= names


@pytest.fixture(scope="module", params=["sdist", "wheel"])
def installed(
    request: pytest.FixtureRequest, built: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The Python of an environment that holds the package and what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp(request.param)
    (archive,) = built.glob("*.tar.gz" if request.param == "sdist" else "*.whl")
    if request.param == "sdist":
        pip("wheel", archive, "--no-build-isolation", "--wheel-dir", folder / "wheel")
        (archive,) = (folder / "wheel").iterdir()
    environment = folder / "environment"
    subprocess.run([DEPENDENCIES, "-m", "venv", "--without-pip", environment], check=True)
    (theirs,), (here,) = map(_site_packages, (DEPENDENCIES.parents[1], environment))
    (here / "dependencies.pth").write_text(str(theirs))
    python = environment / "bin" / "python"
    pip("install", archive, python=python)
    return python


def _site_packages(environment: Path) -> list[Path]:
    return list(environment.glob("lib/python3*/site-packages"))


def pip(*words: str | Path, python: str | Path = sys.executable) -> None:
    """Runs pip for an environment and a package of ours alone: nothing is looked up."""
    options = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *words, *options], check=True)


def test_the_installed_package_finds_its_schemas(installed: Path, tmp_path: Path) -> None:
    names = sorted(name.removesuffix(".json") for name in SCHEMAS)
    done = subprocess.run(
        [installed, "-c", LOOK, installed.parents[1], *names],
        env={},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout).keys() == set(names)


def test_the_installed_package_loads_a_log(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "px.log").write_bytes(log(tsv(Hit()), tsv(Hit(uri=b"/i.gif"))))
    command = ("load", "px.log", "--to", "duckdb:px.duckdb", "--json")
    done = subprocess.run(
        [installed.with_name("pixelship"), *command],
        env={"SIGNER_SECRET": SECRET},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sheet = json.loads(done.stdout)
    assert (sheet["accepted"], sheet["rejected"]) == (1, {"unsigned": 1})
    with duckdb.connect(str(tmp_path / "px.duckdb"), read_only=True) as db:
        assert db.execute("SELECT count(*) FROM pixelship.objects").fetchone() == (1,)


# What is in the images


def pinned() -> dict[str, Version]:
    """The versions in dataflow/constraints.txt, by normalised names."""
    lines = (ROOT / "dataflow/constraints.txt").read_text(encoding="utf-8").splitlines()
    parts = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in parts}


def test_the_images_hold_what_the_package_asks_for() -> None:
    project = SETTINGS["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dataflow"]]
    versions = pinned()
    for need in map(Requirement, asked):
        if need.marker is None or need.marker.evaluate({"python_version": "3.11"}):
            assert versions[canonicalize_name(need.name)] in need.specifier, need.name


def test_launcher_workers_and_graph_have_the_same_beam() -> None:
    text = (ROOT / "dataflow/Dockerfile").read_text(encoding="utf-8")
    (version,) = re.findall(r"^ARG BEAM_VERSION=(.*)$", text, re.M)
    assert Version(version) == pinned()["apache-beam"]
    pythons = set(re.findall(r"^FROM \S*?python:?(3\.?\d+)", text, re.M))
    assert {name.replace(".", "") for name in pythons} == {"311"}


@pytest.mark.parametrize(
    "name", ["dataflow/Dockerfile", "schedules/Dockerfile", "ship/Containerfile"]
)
def test_what_an_image_copies_is_sent_to_its_builder(name: str) -> None:
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M)
        for source in line.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source.partition('/')[0]}" in sent, source


def test_the_launcher_runs_what_the_image_holds() -> None:
    text = (ROOT / "dataflow/Dockerfile").read_text(encoding="utf-8")
    (started,) = re.findall(r"^ENV FLEX_TEMPLATE_PYTHON_PY_FILE=(.*)$", text, re.M)
    assert f"COPY dataflow/launch.py {started}\n" in text
