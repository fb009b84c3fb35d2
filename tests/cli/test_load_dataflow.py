"""`pixelship load --runner=DataflowRunner`: what is refused before anything is begun."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Done, Pixelship
from tests.cloud import Cloud
from tests.logs import SECRET
from tests.vault import vault_on_loopback

LOGS = "gs://acme-logs/pixel/"
KEYS = ("--keys", "sm://projects/acme/secrets/pixelship/versions/3")
IMAGE = ("--sdk_container_image=acme/pixelship:1",)


@pytest.fixture(autouse=True)
def keys_in_the_cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with vault_on_loopback() as vault:
        vault.holds(json.dumps({"keys": [{"secret": SECRET}]}).encode())
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", vault.url)
        yield


def load(pixelship: Pixelship, cloud: Cloud, *words: str, **env: str | None) -> Done:
    place = ("--to", f"bigquery:{cloud.project}", "--state", cloud.state)
    return pixelship("load", *words, *place, "--runner=DataflowRunner", env=env)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("access.log", *KEYS, *IMAGE), "name logs as gs://BUCKET/…."),
        ((LOGS, "--keys", "keys.json", *IMAGE), "--keys sm://projects/P/secrets/S/versions/V."),
        ((LOGS, *KEYS), "with --sdk_container_image, or its sdist with --extra_package."),
        ((LOGS, *KEYS, *IMAGE, "--workers=x"), "Invalid value for '--workers'"),
    ],
    ids=["logs of this machine", "keys of this machine", "no image", "Beam's own option"],
)
def test_what_workers_could_not_get_at_is_refused(
    bare: Pixelship, cloud: Cloud, words: tuple[str, ...], said: str
) -> None:
    bare("keys", "new", "--keys", "keys.json")
    done = load(bare, cloud, *words)
    assert (done.status, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert cloud.tables() == []


def test_keys_of_the_environment_beside_a_reference_are_refused(
    bare: Pixelship, cloud: Cloud
) -> None:
    done = load(bare, cloud, LOGS, *KEYS, *IMAGE, SIGNER_SECRET="only-here")
    assert (done.status, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("Error: SIGNER_SECRET is known to this machine alone")
    assert "only-here" not in done.stderr


def test_without_its_extra_the_runner_is_refused_in_one_sentence(
    bare: Pixelship, cloud: Cloud
) -> None:
    cloud.put("a.log", b"x\n")
    done = load(bare, cloud, f"{cloud.folder}/logs/", *KEYS, *IMAGE)
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "Beam refuses its options: " in done.stderr
