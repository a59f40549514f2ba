import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from tracekit.analyzers.kernels.layout import StepKind
from tracekit.analyzers.recorded import analyze_recording
from tracekit.analyzers.replay import replay_on
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.share import union_ns
from tracekit.analyzers.workload import compile_workload
from tracekit.errors import ShapeInvalid
from tracekit.provenance import Provenance
from tracekit.schema import FORMAT_VERSION, Kind
from tracekit.shapes.shape import Pattern, Shape, Spread, Tokens
from tracekit.shapes.shape_trace import write_shape_trace
from tracekit.trace import Trace, table_of, write_trace

CHAIN = Shape("chain", 6.2, Tokens(46, 233, 543, 23, 151, 680), tools=5.1, tool_wall_s=5.3)
PLAN = Shape("plan", 4.7, Tokens(73, 853, 246, 27, 146, 319), 7.8, 5.9, Pattern.PLAN)
TREE = Shape("tree", 20.0, Tokens(320, 114, 1432, 23, 105, 265), 18.0, 9.0, Pattern.TREE, 2.2, choices=5)
ONE = Shape("one", 1.0, Tokens(187, 100, 488, 23))
SHAPES = [CHAIN, PLAN, TREE, ONE]


def provenance():
    return Provenance(FORMAT_VERSION, "test", [], created_ns=0)


def drawn(folder, shape, sessions=300, seed=1):
    path = folder / f"{shape.name}-{seed}.parquet"
    write_shape_trace(path, shape, sessions, seed, provenance())
    return Trace.open(path)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_means_are_the_shapes(tmp_path, shape):
    recorded = analyze_recording(drawn(tmp_path, shape))
    sessions = recorded.session_count
    calls = recorded.calls / shape.choices
    assert calls / sessions == pytest.approx(shape.calls, rel=0.01)
    assert recorded.tools / sessions == pytest.approx(shape.tools, rel=0.02)
    for name in ("instruction", "few_shot", "user", "llm_history", "tool_history"):
        mean = recorded.tokens_by_class[name] / recorded.calls
        # a hundred texts or more of cv 0.5: 5 % and a token is more than two standard errors
        assert mean == pytest.approx(getattr(shape.tokens, name), rel=0.05, abs=1.0), name
    assert recorded.output_tokens / calls == pytest.approx(shape.tokens.output, rel=0.08)


@pytest.mark.parametrize("shape", [CHAIN, TREE], ids=lambda shape: shape.name)
def test_tools_take_the_shapes_seconds(tmp_path, shape):
    trace = drawn(tmp_path, shape)
    tools = pl.DataFrame(pl.from_arrow(trace.rows(Kind.TOOL_SPAN, ["session_id", "start_ns", "end_ns"])))
    wall_ns = sum(
        union_ns(rows["start_ns"].to_numpy(), rows["end_ns"].to_numpy())
        for rows in tools.partition_by("session_id")
    )
    assert wall_ns / 1e9 / trace.count(Kind.SESSION) == pytest.approx(shape.tool_wall_s, rel=1e-6)


def test_calls_of_unknown_length_leave_no_shares_of_time(tmp_path):
    recorded = analyze_recording(drawn(tmp_path, CHAIN))
    assert recorded.sessions_without_shares == recorded.session_count
    assert set(recorded.shares.totals().values()) == {None}


def test_same_seed_same_bytes_and_another_seed_another_trace(tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, seed in zip(paths, (5, 5, 6), strict=True):
        write_shape_trace(path, TREE, 10, seed, provenance())
    first, second, other = (path.read_bytes() for path in paths)
    assert first == second
    assert first != other


def test_rows_in_another_order_are_the_same_workload(tmp_path):
    trace = drawn(tmp_path, TREE, sessions=8)
    random = np.random.default_rng(0)
    tables = {}
    for kind in (Kind.SESSION, Kind.LLM_CALL, Kind.TOOL_SPAN):
        rows = trace.rows(kind)
        shuffled = rows.take(pa.array(random.permutation(rows.num_rows)))
        tables[kind] = table_of(kind, shuffled.drop_columns(["kind"]).to_pylist())
    write_trace(tmp_path / "shuffled.parquet", tables, trace.provenance)
    before = compile_workload(trace).workload
    after = compile_workload(Trace.open(tmp_path / "shuffled.parquet")).workload
    for name, column in before._asdict().items():
        np.testing.assert_array_equal(column, getattr(after, name), err_msg=name)


def test_it_is_nobodys_recording(tmp_path):
    trace = drawn(tmp_path, CHAIN, sessions=3)
    assert trace.provenance.origin == "published-shape"
    assert set(trace.rows(Kind.SESSION, ["origin"]).column("origin").to_pylist()) == {"published-shape"}
    calls = trace.rows(Kind.LLM_CALL, ["end_ns", "first_token_ns", "usage_source"])
    assert all(calls.column(name).null_count == calls.num_rows for name in calls.column_names)


def test_a_prompt_goes_on_from_the_call_before(tmp_path):
    workload = compile_workload(drawn(tmp_path, CHAIN, sessions=20)).workload
    calls = np.flatnonzero(workload.kind == StepKind.CALL)
    session = workload.session[calls]
    goes_on = np.flatnonzero(np.diff(session) == 0)
    before, after = calls[goes_on], calls[goes_on + 1]
    np.testing.assert_array_equal(workload.prefix_parent[after], before)
    assert np.all(workload.prefix_tokens[after] >= workload.input_tokens[before])
    assert np.all(workload.prefix_tokens[after] <= workload.input_tokens[after])
    roots = calls[np.concatenate([[0], np.flatnonzero(np.diff(session)) + 1])]
    assert np.all(workload.prefix_tokens[roots[1:]] == round(CHAIN.tokens.shared))


def test_answers_of_a_call_share_its_whole_prompt(tmp_path):
    rows = drawn(tmp_path, TREE, sessions=5).rows(Kind.LLM_CALL).to_pylist()
    by_response = {}
    for row in rows:
        by_response.setdefault(row["response_id"], []).append(row)
    for first, *others in by_response.values():
        assert len(others) == TREE.choices - 1
        for other in others:
            assert (other["prefix_call_id"], other["prefix_tokens"]) == (
                first["row_id"],
                first["input_tokens"],
            )
            assert other["input_tokens"] == first["input_tokens"]


def test_rounds_of_a_tree_have_as_many_calls_in_flight_as_the_shape(tmp_path):
    workload = compile_workload(drawn(tmp_path, TREE, sessions=30)).workload
    timeline = replay_on(workload, Fleet.of("H100", "Llama-3.1-8B")).timeline
    lengths_s = (timeline.call_end_ns - timeline.call_queued_ns).sum() / 1e9
    in_flight = lengths_s / TREE.choices / (timeline.busy_ns / 1e9)
    assert in_flight == pytest.approx(TREE.parallel_calls, rel=0.06)


def test_a_plans_tools_start_inside_its_answer(tmp_path):
    compiled = compile_workload(drawn(tmp_path, PLAN, sessions=20))
    assert compiled.inner_starts == np.count_nonzero(compiled.workload.kind == StepKind.TOOL) > 0


def test_a_budget_cuts_long_sessions_and_leaves_the_rest(tmp_path):
    cut = drawn(tmp_path, Shape("cut", CHAIN.calls, CHAIN.tokens, 5.1, 5.3, most_rounds=4)).rows(
        Kind.LLM_CALL
    )
    whole = drawn(tmp_path, CHAIN).rows(Kind.LLM_CALL)
    calls, of_whole = (counts(table) for table in (cut, whole))
    assert max(calls) == 4
    assert sorted(min(each, 4) for each in of_whole) == sorted(calls)


def counts(calls):
    return np.unique(np.array(calls.column("session_id")), return_counts=True)[1].tolist()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"calls": 0.5}, "calls of the shape 'x' is 0.5"),
        ({"calls": float("nan")}, "nan"),
        ({"tokens": Tokens(0)}, "output tokens"),
        ({"tokens": Tokens(5, user=5, llm_history=3), "calls": 1}, "only call"),
        ({"calls": 1, "tools": 1, "tool_wall_s": 1.0}, "between two calls"),
        ({"tools": 0, "tool_wall_s": 1.0}, "one of the two is missing"),
        ({"most_rounds": 0}, "most_rounds"),
        ({"spread": Spread(output=-1)}, "output of the shape"),
    ],
)
def test_shapes_that_no_session_can_have(wrong, words):
    with pytest.raises(ShapeInvalid, match=words):
        Shape(**{"name": "x", "calls": 3.0, "tokens": Tokens(10, user=10), **wrong})
