"""The Pareto front: points that no other point beats in everything asked for."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import Floats


def pareto_front(values: Floats) -> Flags:
    """Which of the points of `values` (n, k), all to be small, are on the front, (n,).

    A point is off it if another is no larger in any column and smaller in one; points that are alike stay together.
    A point with an unknown value (NaN) is not compared, so it is off it and puts none off it.
    """
    is_front = np.zeros(len(values), np.bool_)
    known = np.flatnonzero(~np.isnan(values).any(axis=1))
    # in this order nobody after a point can put it off the front
    order = known[np.lexsort(values[known].T[::-1])]
    found: list[int] = []
    for place in order:
        point, others = values[place], values[found]
        is_beaten = (others <= point).all(axis=1) & (others < point).any(axis=1)
        if not is_beaten.any():
            found.append(int(place))
    is_front[found] = True
    return is_front
