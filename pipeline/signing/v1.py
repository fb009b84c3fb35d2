"""Version 1, the form that PRX's pixel tracker embedded in the wild.

HMAC-SHA256 over the compact JSON array of `[name, value]` pairs of all query parameters but `s`,
sorted by name in UTF-16 order, as `JSON.stringify` writes it; base64url without padding.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import pyarrow as pa

from pipeline.query import Parameters, parse_queries
from pipeline.signing.keys import Key

SIGNATURE = "s"


def messages(parameters: Parameters) -> pa.StringArray:
    """What is signed of each query string."""
    return parameters.without([SIGNATURE]).as_json(('["', '","', '"]'), ("[", "]"))


def sign_query(parameters: Mapping[str, str], key: Key) -> str:
    """A signed query string; the signature comes first, so that a cut URL keeps it."""
    query = urlencode(parameters, quote_via=quote, safe="")
    message = messages(parse_queries(pa.array([query.encode()])))[0].as_py()
    return f"{SIGNATURE}={key.signature(message)}&{query}"
