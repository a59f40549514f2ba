"""A trace's own calls as operating points: time per output token by how many calls were in flight."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl

from tracekit.analyzers.hardware.operating_point import OperatingPoint
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.kernels.layout import Floats, Ints
from tracekit.errors import TraceEmpty
from tracekit.schema import Kind
from tracekit.trace import Trace

LEAST_CALLS = 3
"""In a bin of one octave of calls in flight; fewer say little."""
LEAST_OUTPUT = 8
"""Tokens of a call; of shorter ones the client's own jitter is a large part."""
LEAST_SAMPLES = 10
"""Of power, in a bin."""
COLUMNS = ("first_token_ns", "last_token_ns", "input_tokens", "output_tokens")


def points_of_trace(trace: Trace, replica: Replica) -> list[OperatingPoint]:
    """Points of calls that one `replica` served and nobody else used, one for each octave of calls in flight.

    Calls whose tokens are estimated are in flight, but give no point.

    The latency is a bin's median of (last token - first token) / (tokens - 1); steps that work on others' prompts are
    part of it, so it counts as a mean. Watts are the mean of the samples taken meanwhile, if the trace has samples of
    exactly the replica's GPUs.

    Raises
    ------
    TraceEmpty : no LEAST_CALLS streamed calls with token counts in any bin.
    """
    calls = _streamed(trace)
    flight = InFlight.of(calls["first_token_ns"].to_numpy(), calls["last_token_ns"].to_numpy())
    samples = _samples(trace, replica.tp)
    octaves = np.round(np.log2(flight.mean))
    counted = (calls["usage_source"] != "estimated").to_numpy()
    points = []
    for octave in np.unique(octaves):
        chosen = (octaves == octave) & counted
        if np.count_nonzero(chosen) >= LEAST_CALLS:
            watts = _watts(samples, flight, octave)
            points.append(_point(replica, calls.filter(chosen), float(flight.mean[chosen].mean()), watts))
    if not points:
        raise TraceEmpty.of(
            trace.path,
            "calls to calibrate with",
            f"It takes {LEAST_CALLS} streamed calls of {LEAST_OUTPUT} output tokens or more, with token counts.",
        )
    return [replace(point, row=number) for number, point in enumerate(points, start=1)]


def _streamed(trace: Trace) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(trace.rows(Kind.LLM_CALL, (*COLUMNS, "usage_source"))))
    frame = frame.drop_nulls(COLUMNS).with_columns(pl.col("usage_source").cast(pl.String).fill_null(""))
    return frame.filter(
        (pl.col("output_tokens") >= LEAST_OUTPUT) & (pl.col("last_token_ns") > pl.col("first_token_ns"))
    )


class InFlight(NamedTuple):
    """Calls that emit tokens: `mean` over each call's own time (n,), and `counts` from each of `times` on (2 n,)."""

    mean: Floats
    times: Ints
    counts: Floats

    @classmethod
    def of(cls, begin: Ints, end: Ints) -> InFlight:
        """Of calls that emit from `begin` to `end`, (n,) each."""
        edges = np.concatenate([begin, end])
        order = np.argsort(edges, kind="stable")
        times = edges[order]
        counts = np.cumsum(np.concatenate([np.ones(len(begin)), -np.ones(len(end))])[order])
        area = np.concatenate([[0.0], np.cumsum(counts[:-1] * np.diff(times))])[: len(times)]
        spent = np.interp(end, times, area) - np.interp(begin, times, area)
        return cls(np.maximum(spent / (end - begin), 1.0), times, counts)

    def at(self, when: Ints) -> Floats:
        """How many emit at each instant."""
        place = np.searchsorted(self.times, when, side="right") - 1
        return np.where(place < 0, 0.0, self.counts[np.maximum(place, 0)])


def _samples(trace: Trace, gpus: int) -> pl.DataFrame | None:
    """Watts by time; None unless exactly so many GPUs were sampled."""
    columns = ("start_ns", "host", "gpu_index", "power_w")  # CPUs have a counter and no watts
    frame = pl.DataFrame(pl.from_arrow(trace.rows(Kind.POWER_SAMPLE, columns))).drop_nulls("power_w")
    return frame if frame.select("host", "gpu_index").n_unique() == gpus else None


def _watts(samples: pl.DataFrame | None, flight: InFlight, octave: float) -> float | None:
    """The mean of the samples at which about so many calls emit tokens."""
    if samples is None:
        return None
    emitting = flight.at(samples["start_ns"].to_numpy())
    meanwhile = (emitting > 0) & (np.round(np.log2(np.maximum(emitting, 1.0))) == octave)
    watts = samples["power_w"].to_numpy()[meanwhile]
    return float(watts.mean()) if len(watts) >= LEAST_SAMPLES else None


def _point(replica: Replica, calls: pl.DataFrame, in_flight: float, watts: float | None) -> OperatingPoint:
    emitting_s = (calls["last_token_ns"] - calls["first_token_ns"]).to_numpy() / 1e9
    output = calls["output_tokens"].to_numpy()
    return OperatingPoint(
        row=0,
        replica=replica,
        num_gpus=replica.tp,
        engine=replica.engine.name,
        batch=in_flight,
        input_tokens=float(calls["input_tokens"].to_numpy().mean()),
        output_tokens=float(output.mean()),
        task=None,
        itl_s=float(np.median(emitting_s / (output - 1))),
        output_tok_s=None,
        power_w=watts,
        j_per_token=None,
        itl_is_mean=True,
    )
