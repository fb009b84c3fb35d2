"""Errors as BigQuery words them, both as an answer's body and inside a job's status.

Source: https://cloud.google.com/bigquery/docs/error-messages (reasons and their HTTP codes).
"""

from __future__ import annotations

from typing import Any

HTTP_STATUS = {
    "accessDenied": 403,
    "backendError": 503,
    "conditionNotMet": 412,
    "duplicate": 409,
    "internalError": 500,
    "invalid": 400,
    "invalidQuery": 400,
    "notFound": 404,
    "notImplemented": 501,
    "quotaExceeded": 403,
    "rateLimitExceeded": 403,
    "required": 400,
    "resourceInUse": 400,
    "resourcesExceeded": 400,
    "stopped": 200,
    "timeout": 400,
}
GRPC_STATUS = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}

Json = dict[str, Any]


class BigQueryError(Exception):
    """A refusal: `reason` and `message` as documented, `location` where it has one."""

    def __init__(self, reason: str, message: str, location: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.location = location

    @property
    def status(self) -> int:
        """The HTTP status that goes with the reason."""
        return HTTP_STATUS.get(self.reason, 400)

    def as_proto(self) -> Json:
        """The error as it stands in a job's status (`ErrorProto`)."""
        proto = {"reason": self.reason, "message": self.message}
        return proto if self.location is None else {**proto, "location": self.location}

    def as_body(self) -> Json:
        """The error as the body of an answer."""
        return {
            "error": {
                "code": self.status,
                "message": self.message,
                "errors": [{**self.as_proto(), "domain": "global"}],
                "status": GRPC_STATUS.get(self.status, "UNKNOWN"),
            }
        }


def invalid(message: str, location: str | None = None) -> BigQueryError:
    """400: the request or the data is wrong."""
    return BigQueryError("invalid", message, location)


def not_found(what: str) -> BigQueryError:
    """404: `what` is as BigQuery names it, such as `Table p:d.t`."""
    return BigQueryError("notFound", f"Not found: {what}")


def duplicate(what: str) -> BigQueryError:
    """409: `what` is as BigQuery names it, such as `Job p:US.id`."""
    return BigQueryError("duplicate", f"Already Exists: {what}")
