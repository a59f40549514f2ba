"""A device's joules by one source alone, and how far off sampling may leave them."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from tracekit.analyzers.metering.cut import Cut
from tracekit.analyzers.metering.meter import Meter, Source


class BySource(NamedTuple):
    """Joules outside the gaps of this source, their bound (see `bracket`), and the seconds that they are of."""

    energy_j: float
    error_j: float
    seconds: float

    @classmethod
    def of(cls, meter: Meter, kind: Source) -> Self | None:
        """The counter's advance or the integral of watts; None where that source says nothing."""
        pairs = meter.counter if kind == Source.COUNTER else meter.power
        good = pairs.is_good
        if not good.any():
            return None
        alone = meter.only(kind)
        cut = Cut.of(alone, alone.run_edges_ns)
        whole = cut.figure(np.ones(len(cut.seconds), np.bool_))
        return cls(float(pairs.joules[good].sum()), whole.bound_j, float(pairs.seconds[good].sum()))
