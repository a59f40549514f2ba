"""Which model calls are replayed on, and what is said of those that were recorded with another."""

import json

import pytest

from tests.cli.command_line import run
from tests.unit.crafted_trace import call_row, session_row, write_crafted
from tracekit.analyzers.replay import compile_kernel

SAYS_SO = "(nothing in the trace or on the command line says so)"


@pytest.fixture(scope="module", autouse=True)
def compiled():
    compile_kernel()


def write_models(path, *models):
    calls = [call_row(row + 1, 100 * row, 100 * row + 50, model=model) for row, model in enumerate(models)]
    return write_crafted(path, calls, sessions=[session_row(0, 0, 100 * len(models))])


def assumed(tmp_path, *models, words=("--gpu", "H100")):
    write_models(tmp_path / "t.parquet", *models)
    document = json.loads(run("analyze", "t.parquet", *words, "--json", cwd=tmp_path)[0])
    replay = document["replays"][0]
    return replay["fleet"]["model"], replay["assumed"]


def test_the_one_that_was_recorded_is_taken_without_a_word(tmp_path):
    assert assumed(tmp_path, "Llama-3.1-8B", "llama-3.1-8b", None) == ("Llama-3.1-8B", [])


def test_closed_models_never_map_silently(tmp_path):
    assert assumed(tmp_path, "gpt-4o", "Qwen2.5-7B") == (
        "Qwen2.5-7B",
        ["model Qwen2.5-7B for calls that name gpt-4o"],
    )
    out, _err = run("replay", "t.parquet", "--gpu", "H100", cwd=tmp_path)
    assert out.startswith(f"assumed: model Qwen2.5-7B for calls that name gpt-4o {SAYS_SO}\n")
    assert assumed(tmp_path, "gpt-4o") == ("Llama-3.1-8B", ["model Llama-3.1-8B"])


def test_of_several_known_ones_none_is_preferred(tmp_path):
    assert assumed(tmp_path, "Llama-3.1-8B", "Qwen2.5-7B") == (
        "Llama-3.1-8B",
        ["model Llama-3.1-8B for calls that name Qwen2.5-7B"],
    )
    names = [f"closed-{number}" for number in range(5)]
    _model, told = assumed(tmp_path, "Qwen2.5-7B", *names)
    assert told == ["model Qwen2.5-7B for calls that name closed-0, closed-1, closed-2, 2 more"]


def test_a_model_too_large_for_the_assumed_gpu_costs_the_replay_only(tmp_path):
    write_models(tmp_path / "t.parquet", "Llama-3.1-70B")
    out, _err = run("analyze", "t.parquet", cwd=tmp_path)
    assert "Where session time goes" in out
    assert "not replayed: Llama-3.1-70B does not fit on 1 x H100-SXM-80GB" in " ".join(out.split())
    run("analyze", "t.parquet", "--gpu", "H100", cwd=tmp_path, code=2)


@pytest.mark.parametrize(
    ("words", "following"),
    [
        ((), "--gpu H100-SXM-80GB --model Llama-3.1-8B --replicas 2"),
        (
            (
                "--gpu",
                "L40S",
                "--tp",
                "2",
                "--replicas",
                "3",
                "--router",
                "prefix-aware",
                "--model",
                "Qwen2.5-7B@fp8",
            ),
            "--gpu L40S --model Qwen2.5-7B@fp8 --tp 2 --replicas 4 --router prefix-aware",
        ),
    ],
)
def test_the_next_command_is_of_the_fleet_that_was_looked_at(tmp_path, words, following):
    write_models(tmp_path / "t.parquet", "closed")
    out, _err = run("analyze", "t.parquet", *words, cwd=tmp_path)
    command = f"tracekit replay t.parquet {following} -o timeline.parquet"
    assert out.rstrip().endswith(f"Next: {command}")
    run(*command.split()[1:], cwd=tmp_path)


def test_a_switch_may_make_it_fit(tmp_path):
    write_models(tmp_path / "t.parquet", "Llama-3.1-70B")
    out, _err = run("analyze", "t.parquet", "--what-if", "tp=4", cwd=tmp_path)
    assert "not replayed" not in out
    assert "--model Llama-3.1-70B --tp 4 --replicas 2" in out
    run("analyze", "t.parquet", "--what-if", "tp=1", cwd=tmp_path, code=2)


def test_the_next_command_repeats_all_that_was_said_of_the_fleet(tmp_path):
    write_models(tmp_path / "t.parquet", "closed")
    (tmp_path / "mine.toml").write_text('[gpu.MINE]\nlike = "H100"\n')
    more = ("--queue-order", "least-attained", "--max-num-seqs", "4", "--catalog", "mine.toml")
    out, _err = run("analyze", "t.parquet", "--gpu", "MINE", *more, cwd=tmp_path)
    command = out.rstrip().rpartition("Next: tracekit ")[2]
    assert " --queue-order least-attained --max-num-seqs 4 --catalog mine.toml " in command
    run(*command.split(), cwd=tmp_path)


def test_a_name_of_the_model_that_stands_in_is_no_other_model(tmp_path):
    words = ("--gpu", "H100", "--assume-model", "llama-3.1-8b")
    assert assumed(tmp_path, "Llama-3.1-8B", "Qwen2.5-7B", words=words) == (
        "Llama-3.1-8B",
        ["model Llama-3.1-8B for calls that name Qwen2.5-7B"],
    )


def test_a_catalog_of_the_environment_is_in_the_command(tmp_path, monkeypatch):
    write_models(tmp_path / "t.parquet", "closed")
    (tmp_path / "my prices.toml").write_text("[price.H100]\ntypical = 99.0\n")
    monkeypatch.setenv("TRACEKIT_CATALOG", "my prices.toml")
    document = json.loads(run("replay", "t.parquet", "--gpu", "H100", "--json", cwd=tmp_path)[0])
    assert (
        document["command"] == "TRACEKIT_CATALOG='my prices.toml' tracekit replay t.parquet --gpu H100 --json"
    )


def test_names_in_tables_are_text(tmp_path):
    name = "fix [/tmp/x] and [bold]this[/bold] \x1b[31m"
    write_crafted(
        tmp_path / "t.parquet",
        [call_row(1, 0, 500, model="org/[/m]")],
        sessions=[session_row(0, 0, 500, name=name)],
    )
    out, _err = run("analyze", "t.parquet", cwd=tmp_path)
    assert "fix [/tmp/x] and [bold]this[/bold] [31m" in out
    assert "\x1b" not in out


def test_calls_that_no_replica_takes_are_in_the_headline(tmp_path):
    calls = [call_row(1, 0, 500, input_tokens=1_000_000), call_row(2, 600, 900, parents=[1])]
    write_crafted(tmp_path / "t.parquet", calls)
    out, _err = run("analyze", "t.parquet", "--gpu", "H100", "--model", "Llama-3.1-8B", cwd=tmp_path)
    assert "1 of 2 calls are longer than a replica takes, and refused" in out


def test_calls_that_nobody_counted_are_in_the_first_lines(tmp_path):
    calls = [call_row(1, 0, 500), call_row(2, 600, 900, parents=[1], input_tokens=None)]
    sessions = [session_row(0, 0, 1000), session_row(10, 0, 1000)]
    write_crafted(tmp_path / "t.parquet", [*calls, call_row(11, 0, 500, session=10)], sessions=sessions)
    fleet = ("--model", "Llama-3.1-8B", "--gpu", "H100")
    out, _err = run("analyze", "t.parquet", *fleet, cwd=tmp_path)
    assert "replayed without 1 call that nobody counted the tokens of, the GPU is idle" in out
    assert ">= 100" in out
    sized = ("--slo", "session_p95<60s", "--gpus", "H100", "--tp", "1", "--models", "Llama-3.1-8B")
    words = ("size", "t.parquet", "--rate", "1/s", *sized, "--brief", "--replicates", "20")
    out, _err = run(*words, cwd=tmp_path)
    assert out.startswith("assumed: 1 of 3 answered calls, whose tokens nobody counted, load no GPU")
    run(*words, "-o", "fleet.toml", cwd=tmp_path)
    check = (
        "--rate",
        "1/s",
        "--slo",
        "session_p95<60s",
        "--check",
        "fleet.toml",
        "--brief",
        "--replicates",
        "20",
    )
    out, _err = run("size", "t.parquet", *check, cwd=tmp_path)
    assert out.startswith("assumed: 1 of 3 answered calls, whose tokens nobody counted, load no GPU")
