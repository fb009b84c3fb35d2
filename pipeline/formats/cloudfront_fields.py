"""CloudFront's own escaping of field values, undone.

Source: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html
(checked 2026-11-21). CloudFront writes bytes 0 to 32 and from 127 on, and `<>"#%{}|\\^~[]'` with the
backtick, as `%XX`. A percent sign is among them: the request's own escapes are escaped once more.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.formats.percent import unescape_values


def unescape_agents(values: pa.Array) -> pa.Array:
    """User agents as the client sent them.

    For some years from September 2013 on CloudFront escaped user agents twice: a space is `%2520`
    in them. Nearly every user agent has a space, so one that has none once it is unescaped, but has
    `%20`, is of that kind and is unescaped again.
    """
    once = unescape_values(values)
    is_twice = pc.match_substring(once, "%20").fill_null(False)
    if not pc.any(is_twice, min_count=0).as_py():
        return once
    is_twice = pc.and_(is_twice, pc.invert(pc.match_substring(once, " ")).fill_null(False))
    return pc.if_else(is_twice, unescape_values(once), once)
