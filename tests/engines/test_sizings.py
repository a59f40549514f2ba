"""A sizing on real clusters: the same bytes as on threads, also where workers die or the user loses patience."""

import os
import signal
import time

import pytest

from tests.engines.cluster_commands import TRACE, started, written

WORDS = (
    *("size", TRACE, "--rate", "5/s", "--slo", "session_p95<15s", "--slo", "ttft_p95<500ms"),
    *("--gpus", "L40S", "--tp", "1,2", "--split", "--replicates", "40", "--brief", "--workers", "2"),
)
NAME = "size.json"


@pytest.fixture(scope="module")
def on_threads(tmp_path_factory):
    return written(tmp_path_factory.mktemp("threads"), NAME, *WORDS)


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_cluster_brings_the_same_bytes(tmp_path, on_threads, engine):
    assert written(tmp_path, NAME, *WORDS, "--engine", engine) == on_threads


def test_a_day(tmp_path):
    (tmp_path / "day.csv").write_text("hour,weight\n0,1\n8,6\n18,2\n")
    words = (
        *("size", TRACE, "--rate", "2000/day", "--daily", "day.csv", "--slo", "session_p95<15s"),
        *("--gpus", "L40S", "--tp", "1", "--routers", "least-outstanding", "--replicates", "20", "--brief"),
    )
    on_threads = written(tmp_path, NAME, *words)
    assert written(tmp_path, NAME, *words, "--force", "--engine", "dask") == on_threads


def test_a_worker_that_dies_is_replaced(tmp_path, on_threads):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = ("--engine", "dask", "--address", cluster.scheduler_address)
        with started(tmp_path, *WORDS, *address, "-o", NAME) as process:
            wait_for(tmp_path, 20, process)
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
            _out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert (tmp_path / NAME).read_bytes() == on_threads


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_ctrl_c_in_a_terminal_and_on_again(tmp_path, on_threads, engine):
    words = (*WORDS, "--engine", engine)
    with started(tmp_path, *words, "-o", NAME) as process:
        wait_for(tmp_path, 20, process)
        os.killpg(process.pid, signal.SIGINT)
        _out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "--resume goes on" in err
    assert written(tmp_path, NAME, *words, "--resume") == on_threads
    assert not kept_in(tmp_path).exists()


def kept_in(folder):
    return folder / f"{NAME}.replays.jsonl"


def wait_for(folder, replays, process):
    """Until so many are kept."""
    until = time.monotonic() + 200
    while not (kept_in(folder).exists() and kept_in(folder).read_bytes().count(b"\n") >= replays):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
