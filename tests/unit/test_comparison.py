"""compare: ratios are sums over sums, and MW are the paper's."""

import pytest

from tests.unit.crafted_trace import call_row, session_row, write_crafted
from tracekit.analyzers.demand import Demand
from tracekit.analyzers.recorded import analyze_recording
from tracekit.reports.comparison import Workflow, comparison_document, workflow_baseline
from tracekit.trace import Trace


@pytest.mark.parametrize(
    ("wh", "queries", "mw"),
    [
        (41.53, 71.4e6, 123.6),
        (22.76, 71.4e6, 67.7),
        (348.41, 71.4e6, 1036.5),
        (158.48, 71.4e6, 471.5),
        (2.55, 71.4e6, 7.6),
        (41.53, 13.7e9, 23.7e3),
    ],
)
def test_megawatts_are_those_of_table_iii(wh, queries, mw):
    assert Demand(queries).megawatts(wh * 3600) == pytest.approx(mw, rel=0.005)


def test_a_year_is_365_days():
    assert Demand(100).usd_per_year(0.5) == 18_250
    assert Demand(1000).tonnes_per_year(3.6e6, 400) == pytest.approx(146)


FLEET = {"gpu": "G", "tp": 1, "replicas": 2, "role": "both", "min_replicas": None}


def replay(mean_s, j, usd, idle_s=1.0):
    spread = {"n": 2, "mean": mean_s, "p50": mean_s, "p95": 2 * mean_s, "p95_over_p50": 2.0}
    return {
        "fleet": FLEET, "assumed": [], "calls": 2, "calls_failed": 0, "session_s": spread,
        "gpu_s": {"idle": idle_s, "billed": 4.0}, "energy_j": {"per_session": j, "isolated_per_session": 2 * j},
        "cost_usd": {"per_session": usd}, "prefix_hit_fraction": None, "tier": "analytic", "error": None,
    }  # fmt: skip


def workflow(path, name, lengths_ms, *replays, scores=()):
    sessions = [
        session_row(n, 0, length, **({"score": scores[n]} if n < len(scores) else {}))
        for n, length in enumerate(lengths_ms)
    ]
    calls = [call_row(10 + n, 0, length, session=n) for n, length in enumerate(lengths_ms)]
    trace = Trace.open(write_crafted(path / f"{name}.parquet", calls, sessions=sessions))
    return Workflow(name, trace, analyze_recording(trace), replays)


@pytest.fixture
def document(tmp_path):
    chat = workflow(tmp_path, "chat", [100, 300], replay(2.0, 3600.0, 0.01))
    agent = workflow(tmp_path, "agent", [1000, 2000, 3000], replay(5.0, 9000.0, 0.04, 3.0), scores=[1.0, 0.5])
    return comparison_document([chat, agent], "chat", Demand(24e6), ["as given"], {"cost": "modelled"})


def test_ratios_are_sums_over_sums(document):
    chat, agent = document["workflows"]
    assert agent["recorded"]["session_x"]["mean"] == pytest.approx(2.0 / 0.2)
    assert agent["replays"][0]["session_x"]["mean"] == pytest.approx(2.5)
    assert agent["replays"][0]["wh_x"] == {"average": 2.5, "isolated": 2.5}
    assert agent["replays"][0]["cost_x"] == pytest.approx(4)
    assert agent["replays"][0]["idle"] == 0.75
    assert chat["replays"][0]["session_x"] == {"mean": 1, "p50": 1, "p95": 1}
    assert chat["replays"][0]["at_demand"]["mw"] == {"average": 1.0, "isolated": 2.0}


def test_unknown_is_null_and_scores_are_of_those_that_have_one(document):
    chat, agent = document["workflows"]
    assert chat["score"] is None
    assert agent["score"] == {"mean": 0.75, "sessions": 2}
    assert chat["recorded"]["measured_wh_per_session"] is None
    assert agent["recorded"]["measured_wh_x"] is None


def test_the_headline_says_what_the_document_says(tmp_path, document):
    assert document["headline"] == (
        "On 2 x G a session of agent takes 2.5x the time, 2.5x the energy alone and 4x the money of one of chat. "
        "At 24,000,000 queries a day chat draws 2 MW and agent 5 MW, each session alone."
    )
    one = workflow(tmp_path, "one", [100], replay(2.0, 3600.0, 0.01))
    alone = comparison_document([one], "one", None, [], {})
    assert alone["headline"] == "On 2 x G a session of one takes 2 s and 2 Wh alone."
    unknown = workflow(tmp_path, "unknown", [100], replay(2.0, 0.0, 0.0) | {"session_s": None})
    found = comparison_document([unknown, one], "unknown", None, [], {})
    assert found["headline"] == "On 2 x G nothing is known that could be set against unknown."


def test_the_baseline_is_named_by_workflow_or_file():
    assert workflow_baseline(["a", "b"], ["x/a.parquet", "x/b.parquet"], None) == "a"
    assert workflow_baseline(["a", "b"], ["x/a.parquet", "x/b.parquet"], "b") == "b"
    assert workflow_baseline(["a", "b"], ["x/a.parquet", "x/b.parquet"], "x/b.parquet") == "b"
    assert workflow_baseline(["a", "b"], ["x/a.parquet", "x/b.parquet"], "c") is None
