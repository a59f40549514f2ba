"""Blocks divided among processes by gloo: together they are the whole block, and a group outlives none of its ranks."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from tests.cli.command_line import ROOT, environment
from tests.torch.sharded import CASES, WORDS, head_weights, whole_and_inputs
from tracekit.measuring import group_device
from tracekit.measuring.device import DeviceLost, PointFailed
from tracekit.measuring.group_device import GroupDevice
from tracekit.measuring.point import Point
from tracekit.measuring.shape import BlockKind, ModelShape

RANKS = (2, 4)
SHAPE = ModelShape(
    "small", 256, 8, 2, 32, 512, 8, 2, 128, 1000, "bf16", 1,
    (BlockKind("full-dense", 0, False, 4.0), BlockKind("full-experts", 0, True, 4.0)),
)  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each rank of two and of four made of every case."""
    found = {}
    for ranks in RANKS:
        folder = tmp_path_factory.mktemp("ranks")
        words = [sys.executable, "-m", "tests.torch.sharded"]
        more = environment(OMP_NUM_THREADS="1")
        processes = [
            subprocess.Popen([*words, str(rank), str(ranks), str(folder)], cwd=ROOT, env=more)
            for rank in range(ranks)
        ]
        assert [process.wait(120) for process in processes] == [0] * ranks
        found[ranks] = [torch.load(folder / f"rank-{rank}.pt") for rank in range(ranks)]
    return found


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("case", CASES)
def test_the_parts_of_a_block_come_to_the_whole(told, case, ranks):
    with torch.inference_mode():
        block, hidden, memory, state = whole_and_inputs(*CASES[case])
        wanted = block(hidden, *memory, state)
    for rank in range(ranks):
        torch.testing.assert_close(told[ranks][rank][case], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("ranks", RANKS)
def test_the_parts_of_a_head_come_to_its_logits(told, ranks):
    table, matrix = head_weights()
    wanted = table[WORDS] @ matrix.t()
    for rank in range(ranks):
        torch.testing.assert_close(told[ranks][rank]["head"], wanted, rtol=1e-4, atol=1e-4)


@pytest.fixture
def group(monkeypatch):
    """Makes groups of two processes, and closes them."""
    made = []
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def make(patience_s=60.0):
        monkeypatch.setattr(group_device, "PATIENCE_S", 0.0)
        device = GroupDevice(["cpu"] * 2, SHAPE, patience_s)
        made.append(device)
        return device

    yield make
    for device in made:
        device.close()


def test_ranks_that_run_points(group):
    device = group()
    assert device.facts()["collectives"] == "gloo"
    assert (device.facts()["tp"], device.uuids, device.launches) == ("2", [], ("plain",))
    points = [Point("head", "", 2, 0, 0), Point("decode", "full-dense", 2, 64, 0)]
    for point in [*points, Point("prefill", "full-experts", 1, 0, 32)]:
        prepared = device.prepare(point, "plain")
        assert prepared.run(2) > 0
        assert prepared.blocks == 1 if point.phase == "head" else prepared.blocks > 1
        prepared.close()


@pytest.mark.parametrize(
    ("number", "says"), [(signal.SIGKILL, "killed by signal 9"), (signal.SIGSTOP, "answer")]
)
def test_a_rank_that_dies_or_stops_in_the_middle(group, number, says):
    device = group(patience_s=60.0 if number == signal.SIGKILL else 8.0)
    prepared = device.prepare(Point("decode", "full-dense", 1, 64, 0), "plain")
    pids = device._crew.pids
    os.kill(pids[1], number)
    with pytest.raises(DeviceLost, match=says):
        prepared.run(3)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_point_too_large_for_them(group):
    device = group()
    with pytest.raises(PointFailed, match=r"GPU \d of 2: out of memory"):
        device.prepare(Point("decode", "full-dense", 100_000, 100_000, 0), "plain")
    prepared = device.prepare(Point("decode", "full-dense", 1, 64, 0), "plain")
    assert prepared.run(1) > 0
    prepared.close()
