"""The trace's calls, tools and sessions as the attribution of measured joules reads them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from tracekit.analyzers.kernels.layout import NOBODY, Floats, Ints
from tracekit.schema import Kind
from tracekit.trace import Trace


class Route(NamedTuple):
    """Where a call went, and the host that it went from."""

    client: str | None
    host: str | None
    port: int | None
    path: str | None

    @property
    def endpoint(self) -> str:
        """HOST:PORT as reports name it; a loopback address is one of its client."""
        port = "" if self.port is None else f":{self.port}"
        return f"{self.host or '?'}{port}"


class Calls(NamedTuple):
    """c calls; an unknown end is the last instant that the call shows. NaN: not known how many tokens."""

    row_id: Ints
    session: Ints  # an index into Steps.session_id, NOBODY: none
    start_ns: Ints
    first_token_ns: Ints  # NOBODY: not known
    end_ns: Ints
    route: Ints
    model: Ints
    input_tokens: Floats
    cached_tokens: Floats
    output_tokens: Floats


class Tools(NamedTuple):
    """Tool spans that are steps (no frames around sub-agents); one without an end takes no time."""

    row_id: Ints
    session: Ints
    start_ns: Ints
    end_ns: Ints


class Steps(NamedTuple):
    """All that happened, from the first event to the last."""

    calls: Calls
    tools: Tools
    session_id: Ints  # (s,)
    routes: tuple[Route, ...]
    models: tuple[str | None, ...]
    begin_ns: int
    end_ns: int


def steps_of(trace: Trace) -> Steps | None:
    """The steps of a trace; None if it has no call, tool or session."""
    calls, tools = _frame(trace, Kind.LLM_CALL, _CALL), _frame(trace, Kind.TOOL_SPAN, _TOOL)
    sessions = _frame(trace, Kind.SESSION, ["row_id", "start_ns", "end_ns"]).sort("start_ns", "row_id")
    tools = tools.filter(~pl.col("frame").fill_null(False)).with_columns(
        end_ns=pl.coalesce("end_ns", "start_ns")
    )
    calls = calls.with_columns(
        end_ns=pl.coalesce("end_ns", "last_token_ns", "first_token_ns", "start_ns")
    ).with_columns(end_ns=pl.max_horizontal("start_ns", "end_ns"))
    times = [
        frame.select("start_ns", end_ns=pl.coalesce("end_ns", "start_ns"))
        for frame in (calls, tools, sessions)
    ]
    events = pl.concat(times)
    if events.is_empty():
        return None
    route = pl.struct("host", "server_host", "server_port", "url_path")
    routes = calls.select(route.alias("route")).unique(maintain_order=True)
    models = calls.select("model").unique(maintain_order=True)
    calls = (
        calls.with_columns(route=route)
        .join(routes.with_row_index("route_index"), on="route", nulls_equal=True, maintain_order="left")
        .join(models.with_row_index("model_index"), on="model", nulls_equal=True, maintain_order="left")
    )
    session_id = sessions["row_id"].to_numpy()
    return Steps(
        calls=_calls(calls, session_id),
        tools=Tools(
            tools["row_id"].to_numpy(),
            _session_index(tools, session_id),
            tools["start_ns"].to_numpy(),
            tools["end_ns"].to_numpy(),
        ),
        session_id=session_id,
        routes=tuple(Route(*row.values()) for row in routes["route"].to_list()),
        models=tuple(models["model"].to_list()),
        begin_ns=int(events["start_ns"].to_numpy().min()),
        end_ns=int(events["end_ns"].to_numpy().max()),
    )


_CALL = [
    "row_id", "session_id", "start_ns", "end_ns", "first_token_ns", "last_token_ns", "host", "server_host",
    "server_port", "url_path", "model", "input_tokens", "cached_tokens", "output_tokens",
]  # fmt: skip
_TOOL = ["row_id", "session_id", "start_ns", "end_ns", "frame"]


def _frame(trace: Trace, kind: Kind, columns: list[str]) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(trace.rows(kind, columns)))
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String))


def _calls(frame: pl.DataFrame, session_id: Ints) -> Calls:
    start_ns, end_ns = frame["start_ns"].to_numpy(), frame["end_ns"].to_numpy()
    first_ns = frame["first_token_ns"].fill_null(NOBODY).to_numpy()
    return Calls(
        row_id=frame["row_id"].to_numpy(),
        session=_session_index(frame, session_id),
        start_ns=start_ns,
        first_token_ns=np.where(first_ns < 0, NOBODY, np.clip(first_ns, start_ns, end_ns)),
        end_ns=end_ns,
        route=frame["route_index"].to_numpy().astype(np.int64),
        model=frame["model_index"].to_numpy().astype(np.int64),
        input_tokens=_floats(frame, "input_tokens"),
        cached_tokens=np.nan_to_num(_floats(frame, "cached_tokens")),
        output_tokens=_floats(frame, "output_tokens"),
    )


def _session_index(frame: pl.DataFrame, session_id: Ints) -> Ints:
    """The place of each row's session; NOBODY where it has none, or one that is not in the trace."""
    wanted = frame["session_id"].fill_null(NOBODY).to_numpy()
    if not len(session_id):
        return np.full(len(wanted), NOBODY, np.int64)
    order = np.argsort(session_id, kind="stable")
    place = np.minimum(np.searchsorted(session_id[order], wanted), len(order) - 1)
    found = order[place]
    return np.where((session_id[found] == wanted) & (wanted >= 0), found, NOBODY)


def _floats(frame: pl.DataFrame, name: str) -> Floats:
    return np.asarray(frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy(), np.float64)
