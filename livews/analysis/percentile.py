"""Percentiles by nearest rank: each is a value that was measured."""

import math
from collections.abc import Iterable


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest of `values` that `percent` of them do not exceed. There has to be at least one value."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
