"""Figures that stand for many: no average hides what one reply in twenty was like.

- Pure, and of the values given alone: no value is said that was not there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that `percent` of them do not exceed (nearest rank). At least one value has to be there."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
