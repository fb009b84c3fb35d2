"""The exceptions that end a run; none is ever raised for what a log holds."""

from __future__ import annotations


class SetupError(Exception):
    """Wrong set-up or usage: one sentence that says what to change."""


class BalanceError(Exception):
    """A balance sheet that does not add up: the batch was not committed."""
