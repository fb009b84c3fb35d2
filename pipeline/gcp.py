"""Google Cloud's clients, made in one place: with a time limit, retries and plain words for errors.

Where `STORAGE_EMULATOR_HOST`, `BIGQUERY_EMULATOR_HOST` or `SECRET_MANAGER_EMULATOR_HOST` is set, the
clients talk to that emulator and need no credentials. `PIXELSHIP_RETRY_S` sets for how long a failing call is tried again.
"""

from __future__ import annotations

import errno
import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from http.client import HTTPException
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import requests.exceptions
import urllib3.exceptions
from google.api_core import exceptions as api
from google.api_core.retry import Retry
from google.auth import exceptions as auth
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from pipeline.errors import ServiceError, SetupError

if TYPE_CHECKING:
    from google.cloud import bigquery

RETRY_S = 120.0
"""For how long a call that fails is tried again."""
REPLY_S = 60.0
"""For how long a call may give no sign of life."""
FIRST_WAIT_S = 0.25
MOST_WAIT_S = 30.0
"""Between tries there is a random wait of at most so long, twice as long each time."""
_RETRY_VARIABLE = "PIXELSHIP_RETRY_S"
_STORAGE_EMULATOR = "STORAGE_EMULATOR_HOST"
_BIGQUERY_EMULATOR = "BIGQUERY_EMULATOR_HOST"
_SECRET_MANAGER_EMULATOR = "SECRET_MANAGER_EMULATOR_HOST"  # noqa: S105 - a variable's name
_EMULATED_PROJECT = "emulated"
_NO_BUCKET_LOOK_UPS = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"
"""Google's client would ask for each bucket's location in a thread, for traces that nobody takes."""

_TRANSIENT_CODES = frozenset({408, 429, 500, 502, 503, 504})
_TRANSIENT_REASONS = frozenset({"rateLimitExceeded", "backendError"})
"""With these BigQuery also answers 403 and 400."""
_BROKEN_LINE = (
    ConnectionError,
    TimeoutError,
    HTTPException,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.PoolError,
)
"""The reply was cut, was late or did not come at all."""
_BAD_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)
_MOST_WORDS = 300

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_MEMORY_BYTES = 1 << 23
"""What is larger is kept on disk, and not sent in a single request (Google's client sees to that)."""
_PIECE_BYTES = 1 << 24
"""The pieces in which it is sent."""


def storage_client() -> storage.Client:
    """The client of Cloud Storage: one for each process, as a forked one may not share sockets."""
    return _storage_client(os.getpid(), os.environ.get(_STORAGE_EMULATOR))


@lru_cache(maxsize=8)
def _storage_client(_pid: int, emulator: str | None) -> storage.Client:
    os.environ.setdefault(_NO_BUCKET_LOOK_UPS, "true")
    project = os.environ.get("GOOGLE_CLOUD_PROJECT")
    return storage.Client(project=project or (_EMULATED_PROJECT if emulator else None))


def bigquery_client(project: str, location: str | None = None) -> bigquery.Client:
    """A client of BigQuery that bills the project; raises auth.DefaultCredentialsError."""
    from google.cloud import bigquery

    is_emulated = bool(os.environ.get(_BIGQUERY_EMULATOR))
    credentials = AnonymousCredentials() if is_emulated else None  # type: ignore[no-untyped-call]
    return bigquery.Client(project=project, location=location, credentials=credentials)


def secret_manager_emulator() -> str | None:
    """The URL of what stands in for Secret Manager, if anything does."""
    return os.environ.get(_SECRET_MANAGER_EMULATOR, "").rstrip("/") or None


def limits() -> dict[str, Any]:
    """What every remote call is given, as `client.call(…, **limits())`: its time limit, and retries."""
    return {"timeout": reply_s(), "retry": retry()}


def retry() -> Retry:
    """Tries a call again that failed for a passing reason."""
    return Retry(is_transient, initial=FIRST_WAIT_S, maximum=MOST_WAIT_S, timeout=_retry_s())


def reply_s() -> float:
    """The time limit of a single call: short enough to leave time for another try."""
    return min(REPLY_S, _retry_s() / 2)


def _retry_s() -> float:
    return seconds_of(_RETRY_VARIABLE, RETRY_S)


def seconds_of(variable: str, default: float) -> float:
    """The seconds that an environment variable gives; raises SetupError where they are no number."""
    given = os.environ.get(variable)
    try:
        return float(given) if given else default
    except ValueError:
        raise SetupError(f"{variable} is {given!r}: give a number of seconds.") from None


def is_transient(error: Exception) -> bool:
    """Whether the same call may well succeed a little later."""
    if isinstance(error, api.GoogleAPICallError):
        return error.code in _TRANSIENT_CODES or reason(error) in _TRANSIENT_REASONS
    if isinstance(error, InvalidResponse):
        return error.response.status_code in _TRANSIENT_CODES
    if isinstance(error, auth.GoogleAuthError):
        return error.retryable or isinstance(error, auth.TransportError)
    return isinstance(error, _BROKEN_LINE)


def reason(error: api.GoogleAPICallError) -> str | None:
    """The reason that BigQuery gives for a refusal, such as quotaExceeded."""
    first = next(iter(error.errors), None)
    return first.get("reason") if isinstance(first, dict) else None


@contextmanager
def explaining(task: str) -> Iterator[None]:
    """Puts errors of Google's clients into one sentence; `task` is what was tried ("list gs://a/").

    Raises SetupError for what a person has to change, ServiceError for what passes by itself. 409
    and 412 pass as they are: they answer a condition that the caller set. A caller to whom 404 is an
    answer too catches it inside. Addresses are left out of the words: those of uploads are secrets.
    """
    try:
        yield
    except (api.Conflict, api.PreconditionFailed):
        raise
    except _EXPLAINED as error:
        raise _explained(error, task) from None


_EXPLAINED = (
    api.GoogleAPIError,
    auth.GoogleAuthError,
    DataCorruption,
    InvalidResponse,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    *_BROKEN_LINE,
)


def _explained(error: BaseException, task: str) -> SetupError | ServiceError:
    cause = error.cause if isinstance(error, api.RetryError) else error
    if isinstance(cause, auth.DefaultCredentialsError):
        return SetupError(f"No Google credentials are there to {task}: {_HOW_TO_LOG_IN}.")
    if isinstance(cause, (auth.GoogleAuthError, api.Unauthorized)) and not is_transient(cause):
        return SetupError(f"Google did not accept the credentials to {task}: {_HOW_TO_LOG_IN}.")
    if isinstance(cause, _BAD_ADDRESS):
        return SetupError(
            f"The address to {task} is wrong: correct {_STORAGE_EMULATOR}, {_BIGQUERY_EMULATOR} and {_SECRET_MANAGER_EMULATOR}."
        )
    if isinstance(cause, api.ClientError) and not is_transient(cause):
        return SetupError(_REFUSALS.get(cause.code or 0, _REFUSAL).format(task, words(cause)))
    return ServiceError(
        f"Google's service failed to {task} ({_symptom(cause)}); running again does no harm."
    )


_HOW_TO_LOG_IN = (
    "run `gcloud auth application-default login`, or name a service account's key file in "
    "GOOGLE_APPLICATION_CREDENTIALS"
)
_REFUSAL = "Google refused to {0}: {1}."
_REFUSALS = {
    403: "There is no permission to {0}: grant the account in use a role that has it ({1}).",
    404: "What is needed to {0} does not exist: check the names ({1}).",
}


def _symptom(error: BaseException | None) -> str:
    if isinstance(error, api.GoogleAPICallError):
        return f"{error.code}: {words(error)}"
    if isinstance(error, InvalidResponse):
        return str(error.response.status_code)
    if isinstance(error, (TimeoutError, requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)):  # fmt: skip
        return "no answer in time"
    if isinstance(error, DataCorruption):
        return "the checksum of what it got is wrong"
    return "the connection failed or broke off"


def words(error: api.GoogleAPICallError) -> str:
    """The service's own words on one line, without addresses."""
    first = next(iter(error.errors), None)
    said = str((first.get("message") if isinstance(first, dict) else None) or error.message)
    if in_json := _MESSAGE.search(said):
        said = in_json[1]
    line = _REQUEST.sub("", said.strip()).split("\n")[0]
    return _ADDRESS.sub("…", line)[:_MOST_WORDS].rstrip(". ") or "no reason given"


_MESSAGE = re.compile(r'"message":\s*"([^"]+)"')
_REQUEST = re.compile(r"^[A-Z]+ \w+://\S+: ")
_ADDRESS = re.compile(r"\w+://\S+")


def split_url(url: str) -> tuple[str, str]:
    """The bucket and the name within: `gs://bucket/some/name`. Raises SetupError."""
    scheme, _, rest = url.partition("://")
    bucket, _, name = rest.partition("/")
    if scheme != "gs" or not _BUCKET.fullmatch(bucket):
        raise SetupError(f"{url!r} names no object: write it as gs://BUCKET/NAME.")
    return bucket, name


def blob_of(url: str, generation: int | None = None) -> storage.Blob:
    """The client's handle for an object, or for one generation of it; asks nothing of the service."""
    bucket, name = split_url(url)
    return storage_client().bucket(bucket).blob(name, generation=generation)


def create_file(path: str) -> BinaryIO:
    """A new object to write to: it appears under its name, whole, once it is closed.

    Closing raises SetupError, ServiceError. A `with` block that fails, and a file that is never
    closed, leave nothing behind. `closing()` however closes after an error too, and so leaves what
    was written by then: it is for names that only a successful attempt makes known.
    """
    split_url(path)
    return cast(BinaryIO, NewObject(path))


class NewObject(io.RawIOBase):
    """The bytes of an object that is to be: kept in memory, the many on disk, until it is closed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._buffer = _buffer()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Takes all of the bytes."""
        return self._buffer.write(data)

    def tell(self) -> int:
        """How many bytes there are so far."""
        return self._buffer.tell()

    def close(self) -> None:
        """Makes the object. Raises SetupError, ServiceError."""
        if not self.closed:
            try:
                with explaining(f"write {self._url}"):
                    retry()(self._upload)()
            finally:
                self.discard()

    def discard(self) -> None:
        """Forgets all that was written."""
        self._buffer.close()
        super().close()

    def _upload(self) -> None:
        """Sends all once, which is safe to do again, whatever became of the last time."""
        blob = blob_of(self._url)
        blob.chunk_size = _PIECE_BYTES
        size = self._buffer.seek(0, io.SEEK_END)
        blob.upload_from_file(
            self._buffer, rewind=True, size=size, checksum="crc32c", timeout=reply_s(), retry=None
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        self.discard()


def open_file(path: str) -> BinaryIO:
    """An object's stored bytes, checked; raises FileNotFoundError, SetupError, ServiceError."""
    with ExitStack() as unless_read:
        stream = unless_read.enter_context(_buffer())
        with explaining(f"read {path}"):
            try:
                retry()(_download)(path, stream)
            except api.NotFound:
                raise not_found(path) from None
        unless_read.pop_all()
    return cast(BinaryIO, stream)


def _download(url: str, stream: tempfile.SpooledTemporaryFile[bytes]) -> None:
    """Asks once: Google's client, when it retries, leaves connections open."""
    stream.seek(0)
    stream.truncate()
    blob_of(url).download_to_file(
        stream, raw_download=True, checksum="crc32c", timeout=reply_s(), retry=None
    )
    stream.seek(0)


def _buffer() -> tempfile.SpooledTemporaryFile[bytes]:
    return tempfile.SpooledTemporaryFile(_MEMORY_BYTES)


def not_found(url: str) -> FileNotFoundError:
    """The error of an object, or of a generation of one, that is not there."""
    return FileNotFoundError(errno.ENOENT, "The object is gone or was replaced", url)
