"""Measured joules worked out by hand: two calls that overlap, a tool, and a counter.

One GPU serves 127.0.0.1:8000. Its counter is read at these times (ms), so power is constant between them:

    read   -500      0    500   1000   1500   2000   2500   2600   3000
    J       100    150    250    450    500    530    580    600    620
    W           100    200    400    100     60    100    200     50

Session A calls from 0 to 1000 (first token at 200), runs a tool from 1000 to 2000, and calls again from 2000 to
2500, not streamed. Session B calls from 500 to 1500 (first token at 700). The last event is at 2500.

    0-200      A waits for its first token                    prefill    200 W x 0.2 s =  40 J    A
    200-500    A decodes                                      decode     200 W x 0.3 s =  60 J    A
    500-700    A decodes, B waits for its first token         mixed      400 W x 0.2 s =  80 J    40 A, 40 B
    700-1000   both decode                                    decode     400 W x 0.3 s = 120 J    60 A, 60 B
    1000-1500  B decodes (A's tool runs)                      decode     100 W x 0.5 s =  50 J    B
    1500-2000  nobody; A's tool runs and A will call again    tool_wait   60 W x 0.5 s =  30 J    A's tool
    2000-2500  A's second call, phases unknown                unphased   100 W x 0.5 s =  50 J    A
    before 0: 50 J, after 2500: 20 + 20 J                     outside                     90 J

    call 1 of A: 40 + 60 + 40 + 60 = 200 J; call of B: 40 + 60 + 50 = 150 J; call 2 of A: 50 J; the tool: 30 J
    A: 280 J, B: 150 J; all: 40 + 230 + 80 + 50 + 30 + 90 = 520 J = 620 - 100

The model is in no catalog, so instants are split equally. At $2.95 an H100's hour 2.5 s cost 2.0486 millidollars.
The counter's bound: most watts 400; each read is no older than the one before, and what it does not show yet is
no more than what it shows next. At -500 the counter may be 50 J behind (the 50 J that come next), at 3000 as
much as 0.4 s x 400 W = 160 J; so the total is off by between -50 and 160 J, give or take the resolution of 1 mJ:
half of the first range, 25 J, and of the second, 80 J, and the difference of their middles, 55 J, make 160 J.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted
from tracekit.analyzers.kernels.layout import Cause
from tracekit.analyzers.metering.measured import MeasuredEnergy, measured_energy
from tracekit.analyzers.metering.pool import Phase
from tracekit.trace import Trace

MS = 1_000_000
READS = {
    -500: 100, 0: 150, 500: 250, 1000: 450, 1500: 500, 2000: 530, 2500: 580, 2600: 600, 3000: 620,
}  # fmt: skip
SERVER = {"host": "box", "server_host": "127.0.0.1", "server_port": 8000, "model": "nobody/knows-me"}


@pytest.fixture(scope="module")
def energy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeasuredEnergy]:
    path: Path = tmp_path_factory.mktemp("golden") / "t.parquet"
    start_ms = 1_000_000  # nothing may depend on the epoch, and times before it are none

    def at(ms: float) -> int:
        return int((start_ms + ms) * MS)

    calls = [
        call_row(10, start_ms, start_ms + 1000, 0, first_token_ns=at(200), **SERVER),
        call_row(11, start_ms + 500, start_ms + 1500, 1, first_token_ns=at(700), **SERVER),
        call_row(12, start_ms + 2000, start_ms + 2500, 0, **SERVER),
    ]
    power = [
        {
            "row_id": 100 + place,
            "start_ns": at(ms),
            "host": "box",
            "gpu_index": 0,
            "gpu_name": "NVIDIA H100 80GB HBM3",
            "energy_counter_j": float(joules),
        }
        for place, (ms, joules) in enumerate(READS.items())
    ]
    sessions = [
        session_row(0, start_ms, start_ms + 2500),
        session_row(1, start_ms + 500, start_ms + 1500),
    ]
    tools = [tool_row(20, start_ms + 1000, start_ms + 2000, 0)]
    write_crafted(path, calls, tools, sessions, power)
    measured = measured_energy(Trace.open(path))
    assert measured is not None
    return measured


def test_phases(energy: MeasuredEnergy) -> None:
    assert {phase: figure.energy_j for phase, figure in energy.phases.items()} == {
        Phase.PREFILL: pytest.approx(40),
        Phase.DECODE: pytest.approx(230),
        Phase.MIXED: pytest.approx(80),
        Phase.UNPHASED: pytest.approx(50),
        Phase.IDLE: pytest.approx(30),
        Phase.OUTSIDE: pytest.approx(90),
    }
    assert {phase: figure.gpu_s for phase, figure in energy.phases.items()} == {
        Phase.PREFILL: pytest.approx(0.2),
        Phase.DECODE: pytest.approx(1.1),
        Phase.MIXED: pytest.approx(0.2),
        Phase.UNPHASED: pytest.approx(0.5),
        Phase.IDLE: pytest.approx(0.5),
        Phase.OUTSIDE: pytest.approx(1.0),
    }
    assert energy.causes[Cause.TOOL_WAIT].energy_j == pytest.approx(30)
    assert energy.total.energy_j == pytest.approx(520, rel=1e-12)
    assert energy.not_serving.energy_j == 0


def test_calls_sessions_and_tools(energy: MeasuredEnergy) -> None:
    assert dict(zip(energy.calls["call_id"], energy.calls["energy_j"], strict=True)) == {
        10: pytest.approx(200),
        11: pytest.approx(150),
        12: pytest.approx(50),
    }
    assert energy.calls["split"].to_list() == ["equal"] * 3
    assert energy.sessions["session_id"].to_list() == [0, 1]
    assert energy.sessions["direct_j"].to_list() == [pytest.approx(280), pytest.approx(150)]
    assert energy.sessions["loaded_j"].to_list() == [pytest.approx(280), pytest.approx(150)]
    assert energy.tools.rows() == [(20, pytest.approx(30))]
    assert energy.null_j == 0


def test_dollars(energy: MeasuredEnergy) -> None:
    assert energy.cost_usd == pytest.approx(2.95 / 3600 * 2.5)
    whole, half = 2.95 / 3600, 2.95 / 3600 / 2
    assert energy.calls["cost_usd"].to_list() == [
        pytest.approx(0.5 * whole + 0.5 * half),
        pytest.approx(0.5 * half + 0.5 * whole),
        pytest.approx(0.5 * whole),
    ]


def test_bound(energy: MeasuredEnergy) -> None:
    assert energy.total.bound_j == pytest.approx(160, abs=0.01)
