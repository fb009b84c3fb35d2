"""The environment variables that lead Google's clients to the emulators, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

from emulators.object_store import PROJECT

CREDENTIALS = {
    "type": "authorized_user",
    "client_id": "made-up",
    "client_secret": "made-up",
    "refresh_token": "made-up",
    "token": "made-up",
    "expiry": "2099-01-01T00:00:00Z",
    "universe_domain": "googleapis.com",
}


def write_credentials(folder: Path) -> Path:
    """Writes made-up credentials, for what insists on some (Beam does); returns the file."""
    path = folder / "made-up-credentials.json"
    path.write_text(json.dumps(CREDENTIALS))
    return path


def client_environment(
    store_url: str | None = None,
    bigquery_url: str | None = None,
    credentials: Path | None = None,
    project: str = PROJECT,
) -> dict[str, str]:
    """The variables for a client process; URLs may be the servers' own or a fault proxy's."""
    environment = {
        "GOOGLE_CLOUD_PROJECT": project,
        # google-cloud-storage asks for a bucket's metadata in a thread of its own, for traces that
        # nobody collects: a request that comes when it likes spoils any count of requests.
        "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA": "true",
        # No look-up of a metadata server, which would wait for its time-out.
        "NO_GCE_CHECK": "true",
        "GCE_METADATA_HOST": "127.0.0.1:9",
    }
    if store_url is not None:
        environment["STORAGE_EMULATOR_HOST"] = store_url
    if bigquery_url is not None:
        environment["BIGQUERY_EMULATOR_HOST"] = bigquery_url
    if credentials is not None:
        environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(credentials)
    return environment
