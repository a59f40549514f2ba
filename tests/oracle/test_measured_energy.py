"""Random recordings with overlapping calls, gaps, resets and lost GPUs: kernel of numpy against the oracle."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.measured_energy import Charged, attribute, joules_of, stretches
from tests.unit.crafted_trace import call_row, session_row, tool_row
from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.hardware.step_cost import replica_cost
from tracekit.analyzers.metering.measured import MeasuredEnergy, measured_energy
from tracekit.provenance import Provenance
from tracekit.schema import Kind
from tracekit.trace import Trace, table_of, write_trace

Row = dict[str, Any]
Recording = tuple[list[Row], list[Row], list[Row], list[list[Row]]]
EPOCH_MS = 1_700_000_000_000
HERE = {"host": "box", "server_host": "127.0.0.1", "server_port": 8000}
ELSEWHERE = {"host": "box", "server_host": "api.example.com", "server_port": 443}
MODELS = ("meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-30B-A3B", "nobody/knows-me", None)
GPUS = ("NVIDIA H100 80GB HBM3", "NVIDIA Unheard-Of")
NO_FAULT, LOST, BACKWARDS, NULL, SILENCE = range(5)


def ms_to_ns(ms: float) -> int:
    return int((EPOCH_MS + ms) * 1e6)


def steps(random: Random) -> tuple[list[Row], list[Row], list[Row]]:
    """Sessions, calls and tools within ten seconds, in any overlap; some calls go elsewhere or to no session."""
    sessions = random.randint(1, 3)
    calls, tools = [], []
    models = random.choice([MODELS[:1], MODELS[:2], MODELS[:2], MODELS])
    for row in range(random.randint(1, 8)):
        start, length = random.randint(0, 10_000), random.choice([0, 1, 40, 700, 3000, 3000])
        calls.append(
            call_row(100 + row, EPOCH_MS + start, EPOCH_MS + start + length,
                random.choice([None, *range(sessions), *range(sessions)]),
                first_token_ns=random.choice([None, *[ms_to_ns(start + random.randint(0, length))] * 4]),
                model=random.choice(models),
                **random.choice([HERE, HERE, HERE, ELSEWHERE]),
            ) | {
                "input_tokens": random.choice([None, *[random.randint(0, 20_000)] * 9]),
                "output_tokens": random.choice([0, 1, random.randint(2, 500), random.randint(2, 500)]),
                "cached_tokens": random.choice([None, random.randint(0, 20_000)]),
            }
        )  # fmt: skip
    for row in range(random.randint(0, 5)):
        start = random.randint(0, 10_000)
        end = start + random.choice([0, 30, 900, 4000])
        tools.append(tool_row(200 + row, EPOCH_MS + start, EPOCH_MS + end, random.randrange(sessions)))
    ends = [row["end_ns"] for row in [*calls, *tools]]
    starts = [row["start_ns"] for row in [*calls, *tools]]
    rows = [session_row(row) | {"start_ns": min(starts), "end_ns": max(ends)} for row in range(sessions)]
    return rows, calls, tools


def samples(random: Random, gpu: int, *, has_watts: bool) -> list[Row]:
    """One GPU's samples, the counter in quarters of a joule, so that its advances are exact."""
    at_ms, counter_j = random.randint(-500, 2000), float(random.randint(0, 1_000_000))
    name = random.choice([GPUS[0], *GPUS])
    rarely = random.choice([10, 40, 1000])
    rows = []
    for row in range(random.randint(1, 120)):
        fault = random.choice([*[NO_FAULT] * rarely, LOST, BACKWARDS, NULL, SILENCE])
        at_ms += 4000 if fault == SILENCE else random.choice([50, 50, 100, 730])
        counter_j += random.choice([0, 0, 5.25, 20, 61.5])
        if fault == BACKWARDS:
            counter_j = float(random.randint(0, 100))
        is_null = fault in (LOST, NULL)
        rows.append(
            {
                "row_id": 1000 * (gpu + 1) + row,
                "start_ns": ms_to_ns(at_ms),
                "host": "box",
                "gpu_index": gpu,
                "gpu_name": name,
                "energy_counter_j": None if is_null else counter_j,
                "power_w": random.choice([None, 50.0, 300.0, 700.0]) if has_watts and not is_null else None,
                "power_source": "instant",
                "reason": {LOST: "NVML_ERROR_GPU_IS_LOST", NULL: "NVML_ERROR_UNKNOWN"}.get(fault),
            }
        )  # fmt: skip
    return rows


def recording_of(seed: int, *, has_watts: bool) -> Recording:
    """Drawn by a seed: what hypothesis draws by itself seldom has two calls in flight at once."""
    random = Random(seed)
    sessions, calls, tools = steps(random)
    gpus = [samples(random, gpu, has_watts=has_watts) for gpu in range(random.randint(1, 3))]
    return sessions, calls, tools, gpus


def measured(recording: Recording) -> MeasuredEnergy:
    sessions, calls, tools, gpus = recording
    rows = {
        Kind.SESSION: sessions,
        Kind.LLM_CALL: calls,
        Kind.TOOL_SPAN: tools,
        Kind.POWER_SAMPLE: [row for gpu in gpus for row in gpu],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        tables = {kind: table_of(kind, found) for kind, found in rows.items() if found}
        write_trace(path, tables, Provenance(1, "0", [], 0))
        energy = measured_energy(Trace.open(path))
    assert energy is not None
    return energy


def by_hand(recording: Recording) -> Charged:
    _sessions, calls, tools, gpus = recording
    charged = Charged()
    for call in calls:
        call["served"] = call["server_port"] == 8000
    for gpu in gpus:
        known = stretches(gpu)
        span_ns = gpu[0]["start_ns"], gpu[-1]["start_ns"]
        if any(call["served"] for call in calls):
            attribute(charged, joules_of(known), span_ns, calls, tools, costs(gpu[0]["gpu_name"]))
        else:
            charged.phases["not_serving"] += joules_of(known)(*span_ns)
    for call in calls:
        del call["served"]
    return charged


def costs(gpu_name: str) -> dict[str, Any]:
    gpu = catalog.find_gpu(gpu_name)
    if gpu is None:
        return {}
    found = {name: model for name in MODELS if (model := catalog.find_model(name)) is not None and name}
    assert len(found) == 2
    told = {name: replica_cost(Replica(gpu, model, catalog.engine(), 1)) for name, model in found.items()}
    return {name: (cost.step, cost.table) for name, cost in told.items()}


SLOW = settings(max_examples=80, deadline=None)


def near(value: float, scale: float) -> Any:
    """The same up to the rounding of sums."""
    return pytest.approx(value, rel=1e-8, abs=1e-9 * scale + 1e-12)


@SLOW
@given(st.integers(0, 2**40))
def test_the_oracle_agrees(seed: int) -> None:
    recording = recording_of(seed, has_watts=True)
    energy, charged = measured(recording), by_hand(recording)
    scale = sum(charged.phases.values())
    for phase, figure in energy.phases.items():
        assert figure.energy_j == near(charged.phases[phase.name.lower()], scale)
    for cause, figure in energy.causes.items():
        assert figure.energy_j == near(charged.causes[cause.name.lower()], scale)
    assert energy.not_serving.energy_j == near(charged.phases["not_serving"], scale)
    for row in energy.calls.iter_rows(named=True):
        assert (row["energy_j"] or 0.0) == near(charged.calls[row["call_id"]], scale)
    assert charged.calls.keys() <= set(energy.calls["call_id"])
    for row in energy.sessions.iter_rows(named=True):
        assert row["direct_j"] == near(charged.sessions[row["session_id"]], scale)
    for row in energy.tools.iter_rows(named=True):
        assert row["idle_j"] == near(charged.tools[row["tool_id"]], scale)
    assert charged.tools.keys() <= set(energy.tools["tool_id"] if len(energy.tools) else [])
    if energy.serving:
        assert energy.null_j == near(charged.sessions[None], scale)


@SLOW
@given(st.integers(0, 2**40))
def test_attributed_joules_are_the_counters(seed: int) -> None:
    """Whatever overlaps, breaks off or is lost: what calls, causes and nobody have is what the counters show."""
    recording = recording_of(seed, has_watts=False)
    energy = measured(recording)
    advanced_j = sum(gpu.counter.energy_j for gpu in energy.gpus if gpu.counter is not None)
    assert energy.total.energy_j == pytest.approx(advanced_j, rel=1e-9)
    assert sum(f.energy_j for f in energy.phases.values()) + energy.not_serving.energy_j == pytest.approx(
        advanced_j, rel=1e-9
    )
    if not energy.serving:
        return
    attributed_j = advanced_j - energy.phases[next(p for p in energy.phases if p.name == "OUTSIDE")].energy_j
    sessions_j = energy.sessions["direct_j"].sum() + energy.null_j
    assert sessions_j == pytest.approx(attributed_j, rel=1e-9, abs=1e-9 * advanced_j)
    calls_j, idle_j = energy.calls["energy_j"].sum(), sum(f.energy_j for f in energy.causes.values())
    assert calls_j + idle_j == pytest.approx(attributed_j, rel=1e-9, abs=1e-9 * advanced_j)
    loaded_j = energy.sessions["loaded_j"].sum()
    assert not len(energy.sessions) or loaded_j == pytest.approx(sessions_j, rel=1e-9, abs=1e-9 * advanced_j)
