"""Secret Manager, against a server on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline import gcp
from pipeline.errors import ServiceError, SetupError
from pipeline.secret_manager import read_secret
from tests.vault import Vault, vault_on_loopback

NAME = "projects/acme/secrets/pixelship/versions/3"
SECRET = "do-not-tell-anyone"


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    with vault_on_loopback() as vault:
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", vault.url)
        monkeypatch.setattr(gcp, "FIRST_WAIT_S", 0.001)
        yield vault


def test_a_secret_is_read(vault: Vault) -> None:
    vault.holds("Schlüssel\n".encode())
    assert read_secret(NAME) == "Schlüssel\n".encode()
    assert vault.asked == [(f"/v1/{NAME}:access", None)]


def test_a_secret_without_a_checksum_is_read(vault: Vault) -> None:
    vault.holds(b"x")
    vault.answers = [(200, vault.answers[0][1].replace(b"dataCrc32c", b"other"))]
    assert read_secret(NAME) == b"x"


@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_fails_in_passing_is_asked_again(vault: Vault, code: int) -> None:
    vault.holds(b"x")
    good = vault.answers[0]
    vault.fails(code, code)
    vault.answers.append(good)
    assert read_secret(NAME) == b"x"
    assert len(vault.asked) == 3


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (403, f"There is no permission to read the secret {NAME}: grant the account in use a role that has it (no)."),
        (404, f"What is needed to read the secret {NAME} does not exist: check the names (no)."),
        (400, f"Google refused to read the secret {NAME}: no."),
        (401, f"No Google credentials are there to read the secret {NAME}: run `gcloud auth"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_sentence_and_final(vault: Vault, code: int, told: str) -> None:
    vault.fails(code)
    with pytest.raises(SetupError) as raised:
        read_secret(NAME)
    assert str(raised.value).startswith(told)
    assert "\n" not in str(raised.value)
    assert {path for path, _ in vault.asked} == {f"/v1/{NAME}:access"}


@pytest.mark.parametrize("code", [302, 500, 503])
def test_a_service_that_goes_on_failing_is_said_to(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setenv("PIXELSHIP_RETRY_S", "0.5")
    vault.fails(code)
    with pytest.raises(ServiceError, match=f"Google's service failed to read the secret {NAME}"):
        read_secret(NAME)


def test_a_service_that_does_not_answer_is_said_not_to(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXELSHIP_RETRY_S", "1")
    vault.hangs.set()
    began = time.monotonic()
    with pytest.raises(ServiceError, match=r"read the secret .* \(no answer in time\)"):
        read_secret(NAME)
    assert time.monotonic() - began < 30


def test_a_service_that_is_not_there_is_said_not_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELSHIP_RETRY_S", "0.2")
    monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", "http://127.0.0.1:1")
    with pytest.raises(ServiceError, match="the connection failed or broke off"):
        read_secret(NAME)
    monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", "127.0.0.1:1")
    with pytest.raises(SetupError, match="SECRET_MANAGER_EMULATOR_HOST"):
        read_secret(NAME)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b'{"payload": null}', b'{"payload": {"data": "do-not-tell-anyone!"}}',
        b'{"payload": {"data": 1}}', b'{"payload": {"data": "eA==", "dataCrc32c": "x"}}', b"\xff",
        b'{"payload": {"data": "eA==", "dataCrc32c": "1"}}',
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_right_is_refused_and_not_shown(vault: Vault, body: bytes) -> None:
    vault.answers = [(200, body)]
    with pytest.raises(
        ServiceError, match=rf"Secret Manager's answer about {NAME}|checksum"
    ) as got:
        read_secret(NAME)
    assert "tell" not in str(got.value)
    assert got.value.__suppress_context__ or got.value.__context__ is None


def test_without_credentials_it_is_said_how_to_log_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv("SECRET_MANAGER_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(
        SetupError, match=r"No Google credentials are there to read the secret .*gcloud auth"
    ):
        read_secret(NAME)
