"""`tracekit size` as a user types it."""

import json
import signal
import time
from pathlib import Path

import jsonschema
import pytest

from tests.cli.command_line import ROOT, run, start
from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted
from tracekit.analyzers.replay import compile_kernel
from tracekit.reports.rendering import rendered

SCHEMA = json.loads((ROOT / "docs/reference/document.schema.json").read_text())
SLOS = ("--slo", "session_p95<4s", "--slo", "ttft_p90<1s")
SMALL = ("--gpus", "H100,L40S", "--tp", "1", "--models", "Llama-3.1-8B", "--max-replicas", "8")
"""Two kinds of GPU."""
QUICK = ("--replicates", "20", "--brief")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    compile_kernel()
    folder = tmp_path_factory.mktemp("size")
    write_sessions(folder / "run.parquet", 12)
    write_sessions(folder / "one.parquet", 1)
    write_sessions(folder / "blind.parquet", 3, input_tokens=None)
    return folder


def write_sessions(path, count, **more):
    """Sessions of call, tool, call; a second apart."""
    sessions, calls, tools = [], [], []
    for place in range(count):
        row, at = 10 * place, 1000 * place
        sessions.append(session_row(row, at, at + 1500))
        tokens = {"input_tokens": 500 + 100 * place, "output_tokens": 60} | more
        calls.append(call_row(row + 1, at, at + 500, session=row, **tokens))
        tools.append(tool_row(row + 2, at + 500, at + 900, session=row, parents=[row + 1]))
        calls.append(call_row(row + 3, at + 900, at + 1500, session=row, parents=[row + 2], **tokens))
    write_crafted(path, calls, tools, sessions)


def sized(folder, *words, code=0):
    """The document of one sizing."""
    out, _err = run("size", *words, "--json", cwd=folder, code=code)
    document = json.loads(out)
    kind = {key: value for key, value in SCHEMA.items() if key != "anyOf"} | {"$ref": "#/$defs/sizing"}
    jsonschema.validate(document, kind)
    return document


def test_the_whole_answer_and_every_format(folder):
    words = ("run.parquet", "--rate", "40/s", *SLOS, *SMALL, "--replicates", "20")
    document = sized(folder, *words, "-o", "size.html")
    answer = document["answer"]
    assert answer["passes"]
    assert answer["meeting"] >= 19
    assert answer["replicates"] == 20
    assert document["headline"].endswith(".")
    assert set(document["fleets"]) == {"cost", "energy", "carbon"}
    assert document["headroom"]["holds_per_s"] >= 40
    assert len(document["sensitivity"]) == 6
    assert document["savings"]["rows"]
    assert any(point["is_on_front"] for point in document["pareto"])
    fleet = answer["fleet"]
    per_hour = fleet["replicas"] * fleet["tp"] * fleet["usd_per_gpu_hour"]["typical"]
    assert answer["cost_usd"]["per_hour"] == pytest.approx(per_hour)
    assert answer["cost_usd"]["per_session"] == pytest.approx(per_hour / 3600 / 40)
    busy = sum(answer["gpu_share"][state]["median"] for state in ("prefill", "decode", "mixed", "idle"))
    assert busy == pytest.approx(1, abs=0.05)
    scopes = answer["energy_j"]["per_session"]
    assert scopes["gpu"]["median"] < scopes["server"]["median"] < scopes["facility"]["median"]
    assert scopes["facility"]["median"] == pytest.approx(1.54 * scopes["server"]["median"])
    assert "<!doctype html>" in (folder / "size.html").read_text()


def test_reports_say_what_the_document_says(folder):
    words = ("run.parquet", "--rate", "5/s", *SLOS, *SMALL, *QUICK)
    out, _err = run("size", *words, "-o", "brief.json", cwd=folder)
    document = json.loads((folder / "brief.json").read_text())
    for name in ("md", "csv", "html"):
        assert document["answer"]["fleet"]["gpu"] in rendered(document, name)
    assert document["headline"] in " ".join(out.split())
    assert "Again: tracekit size run.parquet" in out


def test_the_same_command_gives_the_same_numbers_on_any_number_of_threads(folder):
    words = ("run.parquet", "--rate", "40/s", *SLOS, *SMALL, *QUICK)
    plain, few, many = (
        run("size", *words, *more, "--json", cwd=folder)[0]
        for more in (("--workers", "2"), ("--threads", "1"), ("--workers=5", "--engine", "local"))
    )
    assert plain == few == many


def test_a_fleet_that_exists_is_judged(folder):
    words = ("run.parquet", "--rate", "5/s", *SLOS, *QUICK)
    run("size", *words, *SMALL, "-o", "fleet.toml", cwd=folder)
    document = sized(folder, *words, "--check", "fleet.toml")
    assert document["answer"]["passes"]
    assert document["needed"]["fleet"]["replicas"] == document["answer"]["fleet"]["replicas"]
    out, _err = run("replay", "run.parquet", "--fleet", "fleet.toml", "--json", cwd=folder)
    assert json.loads(out)["fleet"]["gpu"] == document["answer"]["fleet"]["gpu"]
    slow = ("--slo", "session_p95<600ms")
    document = sized(folder, "run.parquet", "--rate", "5/s", *slow, "--check", "fleet.toml", *QUICK, code=1)
    assert not document["answer"]["passes"]
    assert "NOT" in document["headline"]
    _out, err = run("size", *words, "--check", "fleet.toml", "--gpus", "H100", cwd=folder, code=2)
    assert "leave out" in err


def test_a_new_recording_is_held_against_a_sizing(folder):
    words = ("run.parquet", "--rate", "5/s", *SLOS, *SMALL, *QUICK)
    run("size", *words, "-o", "then.json", "--force", cwd=folder)
    document = sized(folder, "run.parquet", "--against", "then.json", "--rate", "5/s", *QUICK)
    both = ("--check", "fleet.toml", "--against", "then.json")
    _out, err = run("size", "run.parquet", *both, "--rate", "5/s", *QUICK, cwd=folder, code=2)
    assert "leave out --check" in err
    assert document["against"]["advice"] == "keep"
    assert document["against"]["shape"]["calls"] == {"foreseen": 2, "now": 2}
    recorded = {row["name"]: row["recorded_s"] for row in document["against"]["slos"]}
    assert recorded["session_p95"] == pytest.approx(1.5)
    assert recorded["ttft_p90"] is None  # nothing was streamed
    grown = sized(folder, "run.parquet", "--against", "then.json", "--rate", "200/s", *QUICK, code=1)
    assert grown["against"]["advice"] == "grow"
    assert grown["against"]["needed_replicas"] > 1
    out, _err = run("size", "run.parquet", "--against", "then.json", "--rate", "5/s", *QUICK, cwd=folder)
    assert "Keep the fleet." in out
    assert "The rule: resize up" in out
    assert "The fleet that was judged" in out
    assert "least cost" not in out
    (folder / "foreign.json").write_text("{}")
    _out, err = run("size", "run.parquet", "--against", "foreign.json", cwd=folder, code=2)
    assert "tracekit size" in err


def test_a_small_model_for_some_of_the_calls(folder):
    gpus = ("--gpus", "H100", "--tp", "1", "--models", "Qwen2.5-32B", "--max-replicas", "20")
    words = ("run.parquet", "--rate", "20/s", "--slo", "session_p95<6s", *gpus, *QUICK)
    document = sized(folder, *words, "--small", "Llama-3.1-8B: input<=1200", "-o", "fleet.toml", "--force")
    answer, other = document["answer"], document["without_small"]
    small, large = answer["fleet"]["pools"]
    assert (small["model"], small["calls"]) == ("Llama-3.1-8B", "input<=1200")
    assert (large["model"], large["calls"]) == ("Qwen2.5-32B", "")
    assert answer["cost_usd"]["per_month"] < other["cost_usd"]["per_month"]
    assert document["with_small"] is None
    assert any(
        "67 % of the recorded calls (input<=1200) go to Llama-3.1-8B" in one
        for one in document["assumptions"]
    )
    assert "with Llama-3.1-8B for input<=1200 + " in document["headline"]
    replayed = json.loads(run("replay", "run.parquet", "--fleet", "fleet.toml", "--json", cwd=folder)[0])
    assert [pool["calls"] for pool in replayed["fleet"]["pools"]] == ["input<=1200", ""]


def test_budgets_fail_a_pipeline(folder):
    words = ("run.parquet", "--rate", "5/s", *SLOS, *SMALL, *QUICK)
    run("size", *words, "--fail-if", "unmet", "--fail-if", "cost_per_month>1e6", cwd=folder)
    _out, err = run("size", *words, "--fail-if", "cost_per_hour>0.01", cwd=folder, code=1)
    assert "cost_per_hour>0.01: it is" in err
    _out, err = run("size", *words, "--fail-if", "cost_per_our>1", cwd=folder, code=2)
    assert "cost_per_hour" in err


def test_a_day_is_sized_for_its_peak_and_replayed(folder):
    rows = "".join(f"{hour},{1 + 9 * (8 <= hour < 18)}\n" for hour in range(0, 24, 2) if hour != 12)
    (folder / "day.csv").write_text("hour,weight\n" + rows)
    words = ("run.parquet", "--daily", "day.csv", "--rate", "2000/day", *SLOS, *QUICK)
    document = sized(folder, *words, "--gpus", "H100", "--tp", "1", "--models", "Llama-3.1-8B")
    daily = document["daily"]
    assert daily["mean_rate_per_s"] == pytest.approx(2000 / 86400)
    assert document["question"]["rate_per_s"] == pytest.approx(daily["peak_rate_per_s"])
    assert daily["gaps"] == [[10, 14]]
    assert daily["static"]["meeting"] == 20
    static_usd = document["answer"]["cost_usd"]["per_hour"] * 24
    assert daily["static"]["usd_per_day"]["median"] == pytest.approx(static_usd, rel=1e-6)
    (folder / "gap.csv").write_text("hour,weight\n0,1\n6,\n")
    _out, err = run("size", "run.parquet", "--daily", "gap.csv", "--rate", "9/s", *SLOS, cwd=folder, code=2)
    assert "gap.csv" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run.parquet", *SLOS), "Give --rate"),
        (("run.parquet", "--rate", "0/s", *SLOS), "not above 0"),
        (("run.parquet", "--rate", "5/s"), "at least one --slo"),
        (
            ("run.parquet", "--rate", "5/s", "--slo", "session_p95<1s", "--slo", "session_p95<2s"),
            "contradict",
        ),
        (("run.parquet", "--rate", "5/s", *SLOS, "--gpus", "H101"), "Did you mean"),
        (("run.parquet", "--rate", "5/s", *SLOS, "--routers", "round-robbin"), "round-robin"),
        (("run.parquet", "--rate", "5/s", *SLOS, "--tp", "0"), "below 1"),
        (("run.parquet", "--rate", "5/s", *SLOS, "--grid", "XX"), "XX"),
        (("run.parquet", "--rate", "5/s", *SLOS, "--small", "Llama-3.1-8B"), "is not written MODEL: CALLS"),
        (("run.parquet", "--rate", "5/s", *SLOS, "--small", "Lama-3.1-8B: output<90"), "Did you mean"),
        (("run.parquet", "--rate", "5/s", *SLOS, "--small", "Llama-3.1-8B: outptu<9"), "is no condition"),
        (
            ("run.parquet", "--rate", "5/s", *SLOS, "--small", "Llama-3.1-8B: output<9"),
            "are 0 of the 24 recorded",
        ),
        (("one.parquet", "--rate", "5/s", *SLOS), "holds one session"),
        (("blind.parquet", "--rate", "5/s", *SLOS), "no LLM call with token counts"),
        (
            (
                "run.parquet",
                "--rate",
                "5/s",
                *SLOS,
                "--models",
                "Llama-3.1-405B",
                "--gpus",
                "L4",
                "--tp",
                "1",
            ),
            "No fleet can be made",
        ),
        (("run.parquet", "--rate", "5/s", *SLOS, "--startup", "5"), "give its profile, --daily"),
    ],
)
def test_bad_input_is_answered(folder, words, told):
    _out, err = run("size", *words, cwd=folder, code=2)
    assert told in " ".join(err.split())


def test_objectives_that_nothing_meets_are_explained(folder):
    document = sized(
        folder, "run.parquet", "--rate", "2/s", "--slo", "session_p95<300ms", *SMALL, *QUICK, code=1
    )
    assert document["answer"] is None
    assert document["blocks"]["name"] == "session_p95"
    assert document["blocks"]["tools_alone_s"] == pytest.approx(0.4)
    assert "which no GPU shortens" in document["headline"]
    run(
        "size",
        "run.parquet",
        "--rate",
        "2/s",
        "--slo",
        "session_p95<300ms",
        *SMALL,
        *QUICK,
        cwd=folder,
        code=1,
    )


def test_a_rate_beyond_the_catalog_is_explained(folder):
    words = ("--gpus", "L40S", "--tp", "1", "--models", "Llama-3.1-8B", "--max-replicas", "2", *QUICK)
    document = sized(folder, "run.parquet", "--rate", "3000/s", *SLOS, *words, code=1)
    assert document["answer"] is None
    assert "keeps up" in document["headline"] or "best that can be had" in document["headline"]


LONG = ("run.parquet", "--rate", "5/s", *SLOS, *SMALL, "--replicates", "100", "--brief", "--workers", "1")


@pytest.fixture(scope="module")
def at_once(folder):
    run("size", *LONG, "-o", "whole.json", cwd=folder)
    assert not (folder / "whole.json.replays.jsonl").exists()
    return (folder / "whole.json").read_text()


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_cut_off_and_resumed(folder, at_once, sent):
    name = f"cut-{sent.name}.json"
    journal = folder / f"{name}.replays.jsonl"
    with start("size", *LONG, "-o", name, cwd=folder) as process:
        _wait_for_replays(journal, 60, process)
        process.send_signal(sent)
        _out, err = process.communicate(timeout=60)
    kept = journal.read_bytes().count(b"\n")
    whole = json.loads(at_once)
    assert 60 <= kept < whole["replays"]
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert f"{kept} replays are kept in {name}.replays.jsonl" in err
        assert json.loads((folder / name).read_text())["interrupted"]
    else:
        assert not (folder / name).exists()
    _out, err = run("size", *LONG, "-o", name, cwd=folder, code=2)
    assert "--resume goes on" in err
    with journal.open("ab") as file:
        file.write(b'{"key": "torn')
    run("size", *LONG, "-o", name, "--resume", cwd=folder)
    assert not journal.exists()
    assert (folder / name).read_text() == at_once.replace("whole.json", name)


def test_what_is_kept_of_another_question_is_never_taken(folder):
    words = ("run.parquet", "--rate", "5/s", *SLOS, *SMALL, *QUICK)
    first = sized(folder, *words, "-o", "other.json", "--force")
    (folder / "other.json").unlink()
    (folder / "other.json.replays.jsonl").write_text('{"key": "a", "figures": {"watts": 1.0}}\n')
    again = sized(folder, *words, "-o", "other.json", "--resume")
    assert first["answer"] == again["answer"]
    _out, err = run("size", *words, "-o", "other.json", "--resume", cwd=folder, code=2)
    assert "exists already" in err  # nothing is left to go on with


def test_where_it_runs_is_said_so_that_it_can(folder):
    words = ("run.parquet", "--rate", "5/s", *SLOS, *SMALL, *QUICK)
    for more, told in (
        (("--engine", "dusk"), "'dusk' is not one of 'local', 'dask', 'ray'"),
        (("--address", "tcp://a:1"), "--engine dask"),
        (("--resume",), "give the file"),
        (("--resume", "-o", "-"), "give the file"),
        (("--workers", "0"), "--workers"),
    ):
        _out, err = run("size", *words, *more, cwd=folder, code=2)
        assert told in " ".join(err.split())


def test_fleets_of_several_pools_are_named_by_their_replicas(folder):
    words = ("run.parquet", "--rate", "5/s", *SLOS, "--gpus", "H100", "--tp", "1", "--models", "Llama-3.1-8B")
    whole = ("--split", "--max-replicas", "8", "--replicates", "20", "-o", "split.csv")
    document = sized(folder, *words, *whole)
    fleets = [point["fleet"] for point in document["pareto"]]
    assert len(set(fleets)) == len(fleets)
    assert any("1 x H100-SXM-80GB with Llama-3.1-8B (prefill) + 1 x H100" in fleet for fleet in fleets)
    assert "2 x 1 x" not in (folder / "split.csv").read_text()
    assert not [note for note in document["assumptions"] if "refused" in note]


def test_ctrl_c_prints_the_best_so_far(folder):
    words = ("run.parquet", "--rate", "60/s", *SLOS, *SMALL, "--replicates", "5000", "-o", "best.json")
    with start("size", *words, "--json", cwd=folder) as process:
        _wait_for_replays(folder / "best.json.replays.jsonl", 20, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert json.loads(out)["interrupted"]


def _wait_for_replays(journal, count, process):
    until = time.monotonic() + 100
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= count):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_guide_names_what_the_command_takes():
    guide = (Path(ROOT) / "docs/size.md").read_text()
    for word in ("--check", "--against", "--fail-if", "--daily", "--brief", "190 of 200"):
        assert word in guide
