"""The exceptions that end a run; none is ever raised for what a log holds."""

from __future__ import annotations


class SetupError(Exception):
    """Wrong set-up or usage: one sentence that says what to change."""


class ServiceError(Exception):
    """A service that fails or does not answer, also when asked again: trying later is all there is."""


class BalanceError(Exception):
    """A balance sheet that does not add up: the batch was not committed."""
