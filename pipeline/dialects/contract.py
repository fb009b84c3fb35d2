"""What a dialect makes of query strings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True)
class Claims:
    """What distinct query strings claim, one row each.

    `reason` is the first `Reason` against the claim (0: none); `key_number` is the verifying key's
    place in the ring, or `NO_KEY`. `params` is the JSON text of the signed parameters that have no
    column of their own, `extras` of those that are not signed; null where there are none. `repair`
    names what had to be mended for the signature to fit, null where nothing. The claim holds for
    requests logged from `valid_from_us` on and before `valid_until_us` (int64 microseconds, the
    least and the greatest where there is no bound).
    """

    reason: npt.NDArray[np.int8]
    key_number: npt.NDArray[np.int8]
    key: pa.StringArray
    canonical: pa.StringArray
    destination: pa.StringArray
    params: pa.StringArray
    extras: pa.StringArray
    repair: pa.StringArray
    valid_from_us: npt.NDArray[np.int64]
    valid_until_us: npt.NDArray[np.int64]
