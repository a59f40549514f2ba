"""Watts of a GPU in a step.

    floor + (TDP - floor) x busy x level / (1 + level^3)^(1/3)

busy is the share of the step in which the GPU has something to do, level the mean over that time of what its
parts would draw by themselves, and the last factor keeps their sum under the power limit.
"""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.hardware.constants import PowerConstants
from tracekit.analyzers.hardware.load import Load
from tracekit.analyzers.hardware.step_terms import StepTerms
from tracekit.analyzers.kernels.layout import Floats


def step_watts(
    load: Load, terms: StepTerms, constants: PowerConstants, seconds: Floats | None = None
) -> Floats:
    """Watts of one GPU over n mean steps, (n,), if they take as long as modelled or `seconds` (n,)."""
    took = terms.step if seconds is None else seconds
    # Where a measured step is shorter than its parts, the GPU is busy throughout.
    on_gpu = np.minimum(took, terms.on_gpu)
    level = driven_s(terms, constants) / terms.on_gpu
    floor_w = step_floor_w(load, constants)
    reach: Floats = level / np.cbrt(1.0 + level**3)
    watts: Floats = floor_w + (load.tdp_w - floor_w) * on_gpu / took * reach
    return watts


def step_floor_w(load: Load, constants: PowerConstants) -> Floats:
    """Watts of one GPU in a step while nothing runs on it, (n,): no less than with no step at all."""
    return np.maximum(load.warm_idle_w, constants.floor_share * load.tdp_w)


def driven_s(terms: StepTerms, constants: PowerConstants) -> Floats:
    """Seconds at full power that the parts of a step would come to, each at its level: (n,)."""
    driven: Floats = (
        constants.weight_level * (terms.weights + terms.experts)
        + constants.kv_level * terms.kv
        + constants.compute_level * (terms.decode_compute + terms.prompt_compute)
        + constants.sampling_level * terms.sampling
        + constants.gap_level * (terms.gaps + terms.network)
    )
    return driven
