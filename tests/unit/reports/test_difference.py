"""What two documents differ in, and budgets on it."""

import copy
import json
import math

import jsonschema
import pytest

from tests.unit.reports.documents import crafted_document
from tracekit.errors import BudgetInvalid, DocumentUnreadable, UnknownName
from tracekit.reports.budget import Budget
from tracekit.reports.difference import Change, difference
from tracekit.reports.difference_document import difference_document, markdown_difference
from tracekit.reports.document_schema import document_schema
from tracekit.reports.metric import name_of, path_of
from tracekit.reports.reading import read_document


def spread(value):
    return {
        "n": 4,
        "mean": value,
        "p50": value,
        "p90": value,
        "p95": value,
        "p99": value,
        "curve": [value] * 51,
    }


def replay(session_s=10.0, **more):
    fleet = {"gpu": "H100", "tp": 1, "replicas": 1, "role": "both", "min_replicas": None}
    return {
        "schema_version": 1,
        "trace": "run.parquet",
        "fleet": fleet,
        "session_s": spread(session_s),
        "energy_j": {"total": 3600.0, "by_phase": {"idle": 0.0}},
        "idle_s": {"tool_wait": 30.0},
        "gpu_s": {"idle": 40.0, "billed": 100.0},
        "prefix_hit_fraction": 0.5,
        "cost_usd": {"total": 1.0, "api_equivalent": None},
        "what_if": None,
        "assumptions": ["a", "b"],
        "sources": {"cost": "modelled"},
    } | more


def judged(text, a, b):
    return [verdict.is_broken for verdict in Budget.parse(text).judged(difference(a, b))]


@pytest.mark.parametrize(
    ("text", "is_broken"),
    [
        ("session_p95>+10%", True),
        ("session_p95>+20%", False),
        ("session_p95 > +19.9 %", True),
        ("session_s.p95>+10%", True),
        ("session_p95<-1%", False),
        ("session_p95<+30%", True),
        ("session_p95>+1s", True),
        ("session_p95>+2s", False),
        ("session_p95>+1999ms", True),
        ("session_p95>11s", True),
        ("session_p95>0.3min", False),
        ("session_p95>12", False),
        ("session_p95<12.5", True),
        ("energy_j>+0%", False),
        ("energy_j>0.9Wh", True),
        ("energy_j>4kJ", False),
        ("cost_usd>$0.99", True),
        ("cost_usd>1.01$", False),
        ("idle_s>39s", True),
        ("idle_s.tool_wait<60s", True),
        ("prefix_hit_fraction<60%", True),
        ("prefix_hit_fraction<0.4", False),
        ("energy_j.by_phase.idle>+10%", False),
    ],
)
def test_budgets(text, is_broken):
    assert judged(text, replay(), replay(12.0)) == [is_broken]


def test_from_nothing_any_growth_is_too_much():
    more = replay(energy_j={"total": 3600.0, "by_phase": {"idle": 1.0}})
    assert judged("energy_j.by_phase.idle>+1000%", replay(), more) == [True]
    assert Change("x", 0, 1).relative == math.inf


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("session_p95", "cannot be read"),
        ("session_p95>", "cannot be read"),
        ("session_p95>=10s", "cannot be read"),
        (">10s", "cannot be read"),
        ("session_p95>ten", "cannot be read"),
        ("session_p95>10%", "percent of what"),
        ("session_p95>+10J", "'J' is no unit"),
        ("energy_j>10s", "it takes J"),
        ("calls>10s", "it has no unit"),
    ],
)
def test_budgets_that_are_none(text, words):
    with pytest.raises(BudgetInvalid, match=words):
        Budget.parse(text)


def test_a_budget_on_an_unknown_number_is_refused():
    with pytest.raises(UnknownName, match="session_p95"):
        judged("sesion_p95>+1%", replay(), replay())
    with pytest.raises(BudgetInvalid, match="not known in A and B"):
        judged("cost_usd.api_equivalent>1", replay(), replay())
    with pytest.raises(BudgetInvalid, match="not known in A"):
        judged("session_p95>+10%", replay() | {"session_s": None}, replay())
    with pytest.raises(BudgetInvalid, match="not known in B"):
        judged("session_p95>10s", replay(), replay() | {"session_s": None})
    assert judged("session_p95>10s", replay() | {"session_s": None}, replay(11.0)) == [True]


def test_missing_is_said_and_is_not_0():
    told = difference(replay() | {"session_s": None}, replay())
    change = told.parts[0].changes["session_s.p95"]
    assert (change.a, change.b, change.difference, change.relative) == (None, 10.0, None, None)
    assert change.differs
    words = markdown_difference(("a.json", "b.json"), told, [])
    assert "| session\\_p95 | unknown | 10 s | - | - |" in words


def test_the_same_document_twice():
    told = difference(replay(), replay())
    assert told.inputs == []
    assert not any(change.differs for change in told.parts[0].changes.values())


def test_rounding_is_no_difference():
    told = difference(replay(10.0), replay(10.0 + 1e-12))
    assert not told.parts[0].changes["session_s.p95"].differs


def test_what_went_in_differently():
    what_if = {"switches": {"tp": "2"}, "seed": 0, "labels": [], "warnings": [], "speculation": None}
    other = replay(
        what_if=what_if, assumptions=["b", "c"], sources={"cost": "measured"}, trace="other.parquet"
    )
    other["fleet"] = other["fleet"] | {"tp": 2}
    told = {(row.what, row.a, row.b) for row in difference(replay(), other).inputs}
    assert told == {
        ("trace", "run.parquet", "other.parquet"),
        ("assumptions", "a", None),
        ("assumptions", None, "c"),
        ("source of cost", "modelled", "measured"),
        ("fleet.tp", "1", "2"),
        ("what if tp", None, "2"),
        ("what if seed", None, "0"),
    }
    assert "fleet.tp" not in difference(replay(), other).parts[0].changes


def test_documents_of_analyze_replay_by_replay(tmp_path):
    a = json.loads(json.dumps(crafted_document(tmp_path / "a.parquet")))
    b = copy.deepcopy(a)
    b["replays"][1]["energy_j"]["total"] *= 2
    b["recorded"]["calls"] += 1
    told = difference(a, b)
    assert [part.name for part in told.parts] == ["recorded", "replay 1", "replay 2"]
    changed = [(part.name, name) for part in told.parts for name, row in part.changes.items() if row.differs]
    assert changed == [("recorded", "calls"), ("replay 2", "energy_j.total")]
    assert [verdict.is_broken for verdict in Budget.parse("energy_j>+50%").judged(told)] == [False, True]
    assert [verdict.is_broken for verdict in Budget.parse("replay2.energy_j>+50%").judged(told)] == [True]
    assert [verdict.is_broken for verdict in Budget.parse("recorded.calls>+0").judged(told)] == [True]
    document = difference_document(("a", "b"), (a, b), told, [])
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_one_replay_more_is_said():
    a = {"schema_version": 1, "replays": [replay(), replay()], "recorded": None}
    told = difference(a, {"schema_version": 1, "replays": [replay()], "recorded": None})
    assert [(row.what, row.b) for row in told.inputs] == [("replay 2", None)]
    assert told.parts[-1].changes["session_s.p95"].b is None


def test_a_document_of_another_kind_is_compared_by_its_paths():
    a = {"question": {"rate_per_s": 2.0}, "answer": {"replicas": 3, "gpu": "L40S"}}
    told = difference(a, {"question": {"rate_per_s": 4.0}, "answer": {"replicas": 4, "gpu": "H100"}})
    assert [tuple(row) for row in told.inputs] == [
        ("question.rate_per_s", "2.0", "4.0"),
        ("answer.gpu", "L40S", "H100"),
    ]
    assert list(told.parts[0].changes) == ["answer.replicas"]
    assert told.parts[0].changes["answer.replicas"].difference == 1
    assert [verdict.is_broken for verdict in Budget.parse("answer.replicas>+0").judged(told)] == [True]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("session_p95", "session_s.p95"),
        ("tpot_p99", "tpot_s.p99"),
        ("queue_mean", "queue_s.mean"),
        ("energy_j", "energy_j.total"),
        ("idle_s", "gpu_s.idle"),
        ("carbon_g", "carbon_g.high"),
        ("calls", "calls"),
    ],
)
def test_short_names(name, path):
    assert path_of(name) == path
    assert name_of(path) == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON"),
        ("[1]", "no schema_version"),
        ("{}", "no schema_version"),
        ('{"schema_version": 2}', "schema version 2, and this is version 1"),
        ("PAR1", "no JSON"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_files_that_are_no_documents(tmp_path, text, words):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DocumentUnreadable, match=words):
        read_document(path)
    with pytest.raises(DocumentUnreadable, match="No such file"):
        read_document(tmp_path / "none.json")


def test_the_document_is_as_the_schema_says(tmp_path):
    a = json.loads(json.dumps(crafted_document(tmp_path / "a.parquet")))
    b = copy.deepcopy(a)
    b["replays"][0]["energy_j"]["total"] *= 2
    told = difference(a, b)
    document = difference_document(("a", "b"), (a, b), told, Budget.parse("energy_j>+5%").judged(told))
    jsonschema.validate(document, document_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"inputs": [{"what": "x"}]}, document_schema())


@pytest.mark.parametrize(
    ("text", "is_broken"),
    [
        ("session_p95<-10%", True),
        ("session_p95<-30%", False),
        ("session_p95<-1s", True),
        ("session_p95<-3s", False),
        ("session_p95>-30%", True),
        ("session_p95>-10%", False),
    ],
)
def test_budgets_on_what_falls(text, is_broken):
    assert judged(text, replay(10.0), replay(8.0)) == [is_broken]
