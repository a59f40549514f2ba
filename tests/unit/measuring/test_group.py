"""A group of processes: they agree on each point, and whatever happens to one, none is left behind."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.cli.command_line import ROOT, environment
from tracekit.analyzers.catalog import catalog
from tracekit.errors import MeasuringRefused
from tracekit.measuring import crew, group_device
from tracekit.measuring.bench import Bench, Plan
from tracekit.measuring.campaign import measure
from tracekit.measuring.crew import Crew
from tracekit.measuring.device import DeviceLost, PointFailed
from tracekit.measuring.grid import Limits, grid_of
from tracekit.measuring.group_device import GroupDevice
from tracekit.measuring.journal import Journal
from tracekit.measuring.meter import NoMeter
from tracekit.measuring.shape import ModelShape

MODEL = catalog.model("Qwen3-30B-A3B")
SHAPE = ModelShape.of(MODEL)
POINT = grid_of(SHAPE, Limits())[-1]
RANK = (sys.executable, "-m", "tests.unit.measuring.fake_rank")
QUICK = Plan(timing_s=0.001, fewest_samples=2, most_samples=2)


@pytest.fixture
def group(monkeypatch):
    """Makes groups of fakes, and closes them."""
    made = []
    monkeypatch.setattr(group_device, "PATIENCE_S", 0.0)
    monkeypatch.setattr(crew, "GRACE_S", 0.3)

    def make(*places, patience_s=60.0):
        device = GroupDevice(places, SHAPE, patience_s, lambda ranks: Crew(ranks, RANK, environment()))
        made.append(device)
        return device

    yield make
    for device in made:
        device.close()


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pids_of(device):
    return device._crew.pids


def test_the_slowest_rank_tells_the_time_and_the_fullest_the_blocks(group):
    device = group("slow=1 rooms=8", "slow=3 rooms=5", "slow=2 rooms=6")
    prepared = device.prepare(POINT, "graph")
    assert prepared.blocks == 5
    assert prepared.run(4) == pytest.approx(4 * 3e-3 * POINT.tokens * 5)
    prepared.close()
    assert device.launches == ("graph", "plain")
    assert device.uuids == ["GPU-0", "GPU-1", "GPU-2"]


def test_each_rank_has_its_part_of_the_model(group):
    device = group("", "")
    experts = [rank["facts"]["experts"] for rank in device._about]
    assert experts == [str(list(range(64))), str(list(range(64, 128)))]
    assert device.facts()["tp"] == "2"


def test_one_rank_without_room_and_all_go_on(group):
    device = group("", "fails@room")
    pids = pids_of(device)
    with pytest.raises(PointFailed, match="GPU 1 of 2: out of memory"):
        device.prepare(POINT, "graph")
    prepared = device.prepare(POINT, "graph")
    assert prepared.run(1) > 0
    prepared.close()
    assert pids_of(device) == pids


def test_one_that_fails_where_the_others_wait_begins_anew(group):
    device = group("hangs@run", "fails@run")
    pids = pids_of(device)
    prepared = device.prepare(POINT, "graph")
    with pytest.raises(PointFailed, match="GPU 1 of 2: out of memory"):
        prepared.run(1)
    prepared.close()
    assert not any(map(is_there, pids))
    device._places = ("", "")
    again = device.prepare(POINT, "plain")
    assert again.run(1) > 0
    assert not set(pids) & set(pids_of(device))


def test_a_way_of_launching_that_never_works_is_given_up(group):
    device = group("fails@graph", "fails@graph")
    for _ in range(2):
        assert device.launches == ("graph", "plain")
        with pytest.raises(PointFailed):
            device.prepare(POINT, "graph")
        assert device.prepare(POINT, "plain").run(1) > 0
    assert device.launches == ("plain",)


def test_a_way_of_launching_that_has_worked_is_kept(group):
    device = group("fails@graph+1", "fails@graph+1")
    for _ in range(3):  # each new group's second graph fails
        device.prepare(POINT, "graph").close()
        with pytest.raises(PointFailed):
            device.prepare(POINT, "graph")
    assert device.launches == ("graph", "plain")


@pytest.mark.parametrize("command", ["launch", "run", "drop"])
@pytest.mark.parametrize(
    ("happening", "says"),
    [
        ("dies", r"rank 1 of 2 was killed by signal 9: CUDA error: the fake has had enough"),
        ("exits", r"rank 1 of 2 ended with code 7"),
        ("hangs", r"rank 1 of 2 did not answer for 2 s"),
    ],
)
def test_a_rank_that_goes_takes_all_with_it(group, command, happening, says):
    device = group("", f"{happening}@{command}", patience_s=2.0 if happening == "hangs" else 60.0)
    pids = pids_of(device)
    with pytest.raises(DeviceLost, match=says):  # noqa: PT012  (which of them it is depends on the command)
        prepared = device.prepare(POINT, "graph")
        prepared.run(1)
        prepared.close()
    assert not any(map(is_there, pids))


def test_a_death_is_no_failure_of_the_rank_that_notices_it(group):
    device = group("fails@run", "exits-late@run")
    prepared = device.prepare(POINT, "graph")
    with pytest.raises(DeviceLost, match="rank 1 of 2 ended with code 7"):
        prepared.run(1)


def test_a_rank_that_dies_while_nobody_asks(group):
    device = group("", "")
    prepared = device.prepare(POINT, "graph")
    pids = pids_of(device)
    os.kill(pids[0], signal.SIGKILL)
    with pytest.raises(DeviceLost, match="rank 0 of 2 was killed by signal 9"):
        prepared.run(1)
    assert not any(map(is_there, pids))


@pytest.mark.parametrize(
    ("places", "says"),
    [
        (("", "refuses@start"), "processes of --tp 2 did not come together: GPU 1 of 2: The device 'cuda:9'"),
        (("dies@start", ""), "did not come together: rank 0 of 2 was killed by signal 9: CUDA error"),
        (("name=A", "name=B"), "have to be alike, and these are A, B"),
    ],
)
def test_groups_that_do_not_start(group, places, says):
    with pytest.raises(MeasuringRefused, match=says):
        group(*places)


def test_ctrl_c_while_they_work_leaves_none(group):
    device = group("hangs@run", "hangs@run")
    pids = pids_of(device)
    prepared = device.prepare(POINT, "graph")
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        prepared.run(1)
    assert not any(map(is_there, pids))
    prepared.close()


def test_closing_ends_them_and_their_folder(group):
    device = group("", "")
    pids, folder = pids_of(device), device._crew.folder
    device.close()
    device.close()
    assert not any(map(is_there, pids))
    assert not folder.exists()


def test_ranks_whose_commander_was_killed_end_by_themselves():
    program = (
        "from tests.unit.measuring.test_group import *\n"
        "device = GroupDevice(['hangs@run'] * 2, SHAPE, 0.0, lambda ranks: Crew(ranks, RANK))\n"
        "print(device._crew.folder, *pids_of(device), flush=True)\n"
        "device.prepare(POINT, 'graph').run(1)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=environment(), text=True, stdout=subprocess.PIPE
    ) as commander:
        folder, *words = commander.stdout.readline().split()
        pids = [int(word) for word in words]
        said = [Path(folder, f"rank-{rank}.err") for rank in range(2)]
        wait_until(lambda: all("hangs" in path.read_text() for path in said))
        assert all(map(is_there, pids))
        commander.kill()
    wait_until(lambda: not any(map(is_there, pids)))
    shutil.rmtree(folder)


def wait_until(done):
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_campaign_keeps_what_a_group_measured_before_it_was_lost(group, tmp_path):
    grid = grid_of(SHAPE, Limits(batch=2, context=256, chunk=64))

    def course_of(device):
        journal = Journal(tmp_path / "out.toml.readings.jsonl", {"model": "a"})
        return measure(grid, SHAPE.shard(2), Bench(device, NoMeter(), QUICK), journal, 1e9), journal

    lost, journal = course_of(group("", "dies@launch+6"))
    assert lost.lost.startswith("rank 1 of 2 was killed by signal 9")
    assert journal.done == set(grid[:4])
    assert len(journal.readings) == 2 * 3 + 1
    course, journal = course_of(group("", ""))
    assert (course.lost, journal.done) == (None, set(grid))
