"""A sweep on a local Dask and a local Ray cluster: the same bytes as on threads. `make test-engines` runs this."""

import json

import pytest

from tests.engines.cluster_commands import TRACE, written

WORDS = (
    *("sweep", TRACE, "--gpu", "H100", "--model", "Llama-3.1-8B"),
    *("--over", "replicas=1,2,3", "--over", "tools.speculative=off,0.5", "--over", "split=off,1:2"),
    *("--rate", "2/s", "--sessions", "60", "--seeds", "2", "--workers", "2"),
)


@pytest.fixture(scope="module")
def on_threads(tmp_path_factory):
    return written(tmp_path_factory.mktemp("threads"), "sweep.json", *WORDS)


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_cluster_brings_the_same_bytes(tmp_path, on_threads, engine):
    assert len(json.loads(on_threads)["points"]) == 12
    assert written(tmp_path, "sweep.json", *WORDS, "--engine", engine) == on_threads


def test_a_dask_cluster_that_is_there_already(tmp_path, on_threads):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = ("--engine", "dask", "--address", cluster.scheduler_address)
        assert written(tmp_path, "sweep.json", *WORDS, *address) == on_threads
