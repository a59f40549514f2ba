"""Releases as a user asks for them, and combinations that make no sense."""

import json

import pytest

from tests.cli.command_line import run
from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted

PROFILE = "hour,weight\n8,1\n18,0.2\n"


@pytest.fixture
def trace(tmp_path):
    """Two sessions of call, tool, call; the second begins with half of the first's prompt."""
    calls, tools, sessions = [], [], []
    for session, start_ms in ((0, 0), (10, 500)):
        sessions.append(session_row(session, start_ms, start_ms + 900))
        calls.append(call_row(session + 1, start_ms, start_ms + 300, session))
        tools.append(tool_row(session + 2, start_ms + 300, start_ms + 700, session, [session + 1]))
        calls.append(call_row(session + 3, start_ms + 700, start_ms + 900, session, [session + 2]))
    calls[2] |= {"prefix_call_id": 1, "prefix_tokens": 64}
    write_crafted(tmp_path / "t.parquet", calls, tools, sessions)
    (tmp_path / "day.csv").write_text(PROFILE)
    (tmp_path / "rates.csv").write_text("hour,rate\n0,0.01\n")
    return tmp_path


def replayed(trace, *words):
    return json.loads(run("replay", "t.parquet", *words, "--json", cwd=trace)[0])


def test_bursty_sessions_share_across_copies_and_have_a_steady_state(trace):
    document = replayed(trace, "--burstiness", "3", "--rate", "4/s", "--sessions", "200")
    release = {"name": "bursty", "rate_per_s": 4.0, "sessions": 200, "seed": 0, "burstiness": 3.0}
    assert document["release"] == release
    assert document["tokens"]["cached"] == 199 * 64  # the one that is first to bring it computes it
    steady = document["steady"]
    assert set(steady) == {
        "start_s", "end_s", "sessions", "unstable", "may_be_chance", "session_s",
        "unloaded_session_p95_s",
    }  # fmt: skip
    assert steady["start_s"] == max(0.1 * document["makespan_s"], steady["unloaded_session_p95_s"])
    assert steady["start_s"] < steady["end_s"] < document["makespan_s"]
    assert 0 < steady["sessions"] == steady["session_s"]["n"] < 200
    assert steady["session_s"]["p95"] >= steady["unloaded_session_p95_s"] > 0.4


def test_a_fleet_that_cannot_keep_up_is_unstable(trace):
    words = ("--rate", "40/s", "--sessions", "400", "--max-num-seqs", "1")
    assert replayed(trace, *words)["steady"]["unstable"] is True
    assert replayed(trace, "--rate", "2/s", "--sessions", "400")["steady"]["unstable"] is False
    assert "UNSTABLE" in run("replay", "t.parquet", *words, cwd=trace)[0]


def test_a_day(trace):
    document = replayed(trace, "--profile", "day.csv", "--rate", "500/day", "--days", "2", "--seed", "7")
    release = document["release"]
    assert (release["name"], release["days"], release["seed"]) == ("daily", 2, 7)
    assert release["sessions"] == document["sessions"] == pytest.approx(1000, rel=0.1)
    assert release["rate_per_s"] * 86400 == pytest.approx(500)
    assert 0 <= release["first_arrival_s"] < 8 * 3600
    rates = replayed(trace, "--release", "daily", "--profile", "rates.csv")["release"]
    assert rates["rate_per_s"] == pytest.approx(0.01)
    assert rates["sessions"] == pytest.approx(864, rel=0.15)


def test_an_open_loop_starts_calls_by_the_clock(trace):
    document = replayed(trace, "--release", "open-loop", "-o", "out.parquet", "--force")
    assert document["release"] == {"name": "open-loop"}
    assert document["steady"] is None
    assert any(note.startswith("open loop") for note in document["assumptions"])
    import pyarrow.parquet as pq

    rows = pq.read_table(trace / "out.parquet").to_pylist()
    queued_ms = {row["call_id"]: row["queued_ns"] / 1e6 for row in rows if row["kind"] == "call"}
    assert queued_ms == {1: 0, 3: 700, 11: 500, 13: 1200}


def test_recorded_and_scaled_arrivals_have_no_steady_state(trace):
    assert replayed(trace)["steady"] is None
    assert replayed(trace, "--release", "scaled", "--rate", "1/s")["steady"] is None


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--release", "poison", "--rate", "1/s"), "Unknown release 'poison'. Did you mean poisson?"),
        (("--release", "open_loop"), "Did you mean open-loop?"),
        (("--release", "bursty"), "needs --rate, such as --rate 5/s"),
        (("--release", "daily", "--rate", "1/s"), "needs --profile"),
        (("--profile", "day.csv"), "give the mean over the day with --rate"),
        (("--profile", "none.csv", "--rate", "1/s"), "none.csv cannot be used"),
        (("--release", "recorded", "--rate", "1/s"), "--rate does not go with --release recorded"),
        (("--release", "open-loop", "--rate", "1/s"), "--rate does not go with --release open-loop"),
        (("--release", "poisson", "--rate", "1/s", "--burstiness", "2"), "it is for bursty"),
        (("--rate", "1/s", "--days", "2"), "--days does not go with --release poisson: it is for daily"),
        (("--profile", "day.csv", "--rate", "1/s", "--sessions", "5"), "it is for poisson or bursty"),
        (("--release", "scaled", "--rate", "1/s", "--profile", "day.csv"), "it is for daily"),
        (("--burstiness", "0", "--rate", "1/s"), "0.0 is not in the range"),
        (("--days", "0", "--profile", "day.csv"), "0 is not in the range"),
        (("--profile", "day.csv", "--rate", "1e9/s"), "Lower --rate, --days or --sessions"),
        (("--rate", "1/s", "--sessions", "10000000000"), "a replay takes up to 10,000,000"),
        (("--profile", "day.csv", "--rate", "1e-9/day"), "No session arrives"),
    ],
)
def test_combinations_that_make_no_sense(trace, words, hint):
    out, err = run("replay", "t.parquet", *words, cwd=trace, code=2)
    assert hint in " ".join(err.split())
    assert out == ""
