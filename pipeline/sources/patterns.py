"""What of a bucket is looked for: an object, a folder or a glob, told by names alone."""

from __future__ import annotations

import re

from pipeline.errors import SetupError
from pipeline.gcp import split_url

_WILDCARD = re.compile(r"\*\*/|\*\*|\*|\?|\[[!^]?(?:\][^]]*|[^]]+)\]")
_EXPRESSIONS = {
    "**/": r"(?:(?!\.)[^/]+/)*",
    "**": r"(?:(?!/\.).)*",
    "*": r"[^/]*",
    "?": r"[^/]",
}
_NOT_HIDDEN = r"(?!\.)"
_SET_SYNTAX = re.compile(r"[\\[^&~|]")


class Pattern:
    """`gs://BUCKET/NAME` for an object or all in a folder, `gs://BUCKET/FOLDER/`, or a glob.

    In globs `*`, `?` and `[…]` stay within a part of the name, `**` goes across parts; as in a shell
    none of them stands for a dot at a part's start. What is hidden in a folder is left out. Raises
    SetupError for what is neither.

    `start` is what all names begin with. `is_name` tells that the pattern has neither wildcards nor
    a / at its end; `is_flat` that what is looked for is in one folder, not in those within.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.bucket, name = split_url(text)
        wildcard = _WILDCARD.search(name)
        self.start = name[: wildcard.start()] if wildcard else name
        self.is_name = not wildcard and name != "" and not name.endswith("/")
        rest = name[len(self.start) :]
        self.is_flat = bool(wildcard) and "/" not in rest and "**" not in rest
        self._wanted = _compile(name, is_glob=bool(wildcard), is_name=self.is_name)

    def fits(self, name: str) -> bool:
        """Whether an object is among those looked for, by its name in the bucket."""
        is_marker = name.endswith("/")  # of a folder: no object
        return not is_marker and self._wanted.fullmatch(name) is not None


def _compile(name: str, *, is_glob: bool, is_name: bool) -> re.Pattern[str]:
    this = re.escape(name)
    try:
        if is_glob:
            return re.compile(f"{_translate(name)}|{this}", re.DOTALL)
        all_below = _NOT_HIDDEN + _EXPRESSIONS["**"]
        return re.compile(f"{this}(?:/{all_below})?" if is_name else this + all_below, re.DOTALL)
    except re.error:
        raise SetupError(f"{name!r} is no glob: correct what is in brackets.") from None


def _translate(glob: str) -> str:
    expression, end = "", 0
    for token in _WILDCARD.finditer(glob):
        expression += re.escape(glob[end : token.start()])
        if token[0] != "**/" and (token.start() == 0 or glob[token.start() - 1] == "/"):
            expression += _NOT_HIDDEN
        expression += _EXPRESSIONS.get(token[0]) or _one_of(token[0])
        end = token.end()
    return expression + re.escape(glob[end:])


def _one_of(token: str) -> str:
    inner = token[1:-1]
    negation = "^" if inner[0] in "!^" and len(inner) > 1 else ""
    escaped = _SET_SYNTAX.sub(r"\\\g<0>", inner[len(negation) :])
    return f"(?!/)[{negation}{escaped}]"
