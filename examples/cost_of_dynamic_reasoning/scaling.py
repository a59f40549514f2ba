"""More compute for one answer: iteration budget, examples, reflections, sampled children."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from examples.cost_of_dynamic_reasoning.alone import replay_alone
from examples.cost_of_dynamic_reasoning.hardware import SMALL, VLLM_2024
from examples.cost_of_dynamic_reasoning.knee import Load, loaded, session_p95_s
from examples.cost_of_dynamic_reasoning.pair import Pair, shape_of
from examples.cost_of_dynamic_reasoning.published import taken
from examples.cost_of_dynamic_reasoning.workspace import Result
from tracekit.analyzers.kernels.layout import Workload
from tracekit.shapes.shape import Shape

CHILDREN = (1, 2, 4, 8, 16)
SESSIONS_AT_ONCE = 24.0
"""On a busy GPU, if each took as long as alone."""


def variants() -> Iterator[tuple[str, Shape]]:
    """Name and changed shape of each."""
    for benchmark, by_budget in taken("budget_accuracy").items():
        pair = Pair(benchmark, "ReAct")
        for budget in by_budget:
            yield f"budget-{benchmark}/{budget}", replace(shape_of(pair), most_rounds=int(budget))
    for benchmark, by_shots in taken("few_shot_accuracy").items():
        pair = Pair(benchmark, "ReAct")
        for shots in by_shots:
            yield f"few_shot-{benchmark}/{shots}", _with_examples(shape_of(pair), int(shots))
    for choices in CHILDREN:
        pair = Pair("HotpotQA", "LATS")
        yield f"children/{choices}", _with_children(shape_of(pair), choices)
    for place, (_latency_s, ktokens, _accuracy) in enumerate(taken("scaling")["Reflexion 8B"]):
        pair = Pair("HotpotQA", "Reflexion")
        yield f"reflections/{place}", _of_tokens(shape_of(pair), ktokens)
    for place, (_latency_s, ktokens, _accuracy) in enumerate(taken("scaling")["LATS 8B"]):
        pair = Pair("HotpotQA", "LATS")
        yield f"iterations/{place}", _of_tokens(shape_of(pair), ktokens)


def _with_examples(shape: Shape, shots: int) -> Shape:
    """The same steps with fewer examples in every prompt."""
    most = taken("artifact_defaults")["few_shot"]
    tokens = replace(shape.tokens, few_shot=shape.tokens.few_shot * shots / most)
    return replace(shape, tokens=tokens)


def _with_children(shape: Shape, choices: int) -> Shape:
    """Another number of answers in each call, each as long as before; equally many calls."""
    output = shape.tokens.output * choices / shape.choices
    history = shape.tokens
    return replace(shape, choices=choices, tokens=replace(history, output=output))


def _of_tokens(shape: Shape, ktokens: float) -> Shape:
    """As many times the calls and tools as it takes to come to so many tokens a request; calls stay as they are."""
    times = 1e3 * ktokens / (shape.calls * (shape.tokens.input + shape.tokens.output))
    rounds_before = shape.calls
    calls = max(1.0, shape.calls * times)
    return replace(
        shape,
        calls=calls,
        tools=shape.tools * calls / rounds_before,
        tool_wall_s=shape.tool_wall_s * calls / rounds_before,
    )


def measured(workload: Workload, shape: Shape, load: Load) -> Result:
    """Alone, and on a GPU with SESSIONS_AT_ONCE of them: KV peak as a share of the memory, preemptions a session."""
    alone = replay_alone(workload, shape.choices, SMALL, VLLM_2024)
    busy = loaded(workload, SESSIONS_AT_ONCE / alone.e2e_s, True, VLLM_2024, load.sessions, load.seeds[0])
    return alone.to_json() | {
        "busy_kv_peak": busy.outcome.kv_peak_fraction,
        "busy_preemptions": float(busy.outcome.calls["preemptions"].sum()) / load.sessions,
        "busy_p95_s": session_p95_s(busy),
        "busy_j": busy.total_j / load.sessions,
    }
