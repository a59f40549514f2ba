"""Fleets of several pools through the command line."""

import json

import pyarrow.parquet as pq
import pytest

from tests.cli.command_line import run
from tests.unit.crafted_trace import call_row, tool_row, write_crafted

SPLIT = """
[fleet]
router = "prefix-aware"
[[pool]]
gpu = "H100"
model = "Llama-3.1-8B"
role = "prefill"
[[pool]]
gpu = "L40S"
model = "Llama-3.1-8B"
replicas = 2
role = "decode"
transfer_s = 0.5
"""
SMALL = """
[fleet]
[[pool]]
gpu = "H100"
model = "Qwen2.5-32B"
[[pool]]
gpu = "L40S"
model = "Llama-3.1-8B"
calls = "output<=20"
"""
ELASTIC = '[fleet]\ngpu = "H100"\nmodel = "Llama-3.1-8B"\nreplicas = 3\nmin_replicas = 1\n'
SLOTS = '[fleet]\ngpu = "H100"\nmodel = "Llama-3.1-8B"\nbatching = "slots"\nmax_num_seqs = 4\n'
OFFLOAD = '[fleet]\ngpu = "H100"\nmodel = "Llama-3.1-8B"\nretention = "offload"\noffload_gb = 64\n'


def replayed(folder, fleet, *words):
    rows = [call_row(1, 0, 50, output_tokens=20), call_row(2, 90, 99, output_tokens=20, parents=[9])]
    write_crafted(folder / "t.parquet", rows, [tool_row(9, 50, 90, parents=[1])])
    (folder / "fleet.toml").write_text(fleet)
    return run("replay", "t.parquet", "--fleet", "fleet.toml", *words, cwd=folder)[0]


def test_prefill_here_and_decode_there(tmp_path):
    document = json.loads(replayed(tmp_path, SPLIT, "--json", "-o", "timeline.parquet"))
    assert [pool["role"] for pool in document["fleet"]["pools"]] == ["prefill", "decode"]
    assert document["idle_s"]["transfer"] == pytest.approx(2 * 0.5, rel=0.01)
    assert document["tokens"]["output"] == 40
    calls = pq.read_table(tmp_path / "timeline.parquet").to_pylist()[:2]
    assert [call["replica"] for call in calls] == [0, 0]
    assert {call["decode_replica"] for call in calls} <= {1, 2}


@pytest.mark.parametrize(
    ("fleet", "words"),
    [
        (SPLIT, ["1 x H100-SXM-80GB (prefill) + 2 x L40S (decode)", "scheduler: vLLM V1"]),
        (ELASTIC, ["1-3 x H100-SXM-80GB", "scheduler: vLLM V1"]),
        (SLOTS, ["1 x H100-SXM-80GB", "scheduler: llama.cpp's slots"]),
        (
            SMALL,
            [
                "1 x L40S with Llama-3.1-8B for output<=20 + 1 x H100-SXM-80GB",
                "100 % of the recorded calls (output<=20) go to Llama-3.1-8B: whether it answers as well is not known",
            ],
        ),
        (OFFLOAD, ["retention offload: copies of KV in 64 GB of host memory", "over 25 GB/s"]),
    ],
    ids=["split", "elastic", "slots", "small", "offload"],
)
def test_the_table_says_what_was_replayed(tmp_path, fleet, words):
    shown = replayed(tmp_path, fleet)
    assert all(word in shown for word in words)


def test_replicas_that_are_off_are_not_billed(tmp_path):
    seconds = json.loads(replayed(tmp_path, ELASTIC, "--json"))["gpu_s"]
    assert seconds["off"] > 0
    assert seconds["billed"] == pytest.approx(seconds["off"] / 2)
