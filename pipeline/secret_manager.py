"""Google Secret Manager, by its REST interface: one version of a secret is read.

Source: https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
(checked 2026-11-21): `GET https://secretmanager.googleapis.com/v1/NAME:access` answers with
`{"payload": {"data": BASE64, "dataCrc32c": "NUMBER"}}`.
"""

from __future__ import annotations

import base64
import binascii
import json

import google.auth
import google_crc32c
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession

from pipeline import gcp
from pipeline.errors import ServiceError

_SERVICE = "https://secretmanager.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def read_secret(name: str) -> bytes:
    """A version, `projects/P/secrets/S/versions/V`; raises SetupError and ServiceError.

    Neither the secret nor any part of an answer that may hold it is ever part of an error.
    """
    with gcp.explaining(f"read the secret {name}"):
        answer = gcp.retry()(_access)(name)
    try:
        payload = json.loads(answer)["payload"]
        data = base64.b64decode(payload["data"], validate=True)
        is_whole = int(payload.get("dataCrc32c", google_crc32c.value(data))) == google_crc32c.value(data)  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise ServiceError(f"Secret Manager's answer about {name} cannot be read.") from None
    if not is_whole:
        raise ServiceError(f"The checksum of the secret {name} is wrong; try again.")
    return data


def _access(name: str) -> bytes:
    emulator = gcp.secret_manager_emulator()
    credentials = AnonymousCredentials() if emulator else google.auth.default(scopes=[_SCOPE])[0]  # type: ignore[no-untyped-call]
    with AuthorizedSession(credentials) as session:  # type: ignore[no-untyped-call]
        response = session.get(
            f"{emulator or _SERVICE}/v1/{name}:access",
            timeout=gcp.reply_s(),
            allow_redirects=False,
        )
        if response.status_code != 200:
            raise api.from_http_response(response)
        return response.content
