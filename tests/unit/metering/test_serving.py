"""Which GPUs' joules go to calls."""

import pytest

from tracekit.analyzers.metering.reads import Device
from tracekit.analyzers.metering.serving import Serves, is_loopback, servings
from tracekit.analyzers.metering.steps import Route
from tracekit.errors import ServesInvalid

LOCAL = Route("box", "127.0.0.1", 8000, "/v1/chat/completions")
OTHER_LOCAL = Route("box", "localhost", 8001, "/v1/chat/completions")
API = Route("box", "api.openai.com", 443, "/v1/chat/completions")
REMOTE = Route("laptop", "10.0.0.5", 8000, "/llama/v1/chat/completions")


def gpu(index, host="box"):
    return Device(host, "gpu", index, f"GPU-{host}-{index}", "NVIDIA L40S")


def served(gpus, routes, *declared, used=None):
    told = servings(gpus, used or [None] * len(gpus), routes, [Serves.parse(text) for text in declared])
    return [sorted(serving.routes) for serving in told]


def test_a_loopback_server_runs_on_its_hosts_gpus():
    assert served([gpu(0), gpu(0, "other")], [LOCAL, API]) == [[0], []]


def test_a_server_called_by_the_hosts_own_name_too():
    assert served([gpu(0)], [Route("box", "box", 8000, "/v1/completions")]) == [[0]]


def test_calls_elsewhere_give_no_joules():
    assert served([gpu(0)], [API]) == [[]]


def test_a_gpu_that_never_ran_a_kernel_serves_nothing_if_another_did():
    gpus = [gpu(0), gpu(1), gpu(2)]
    assert served(gpus, [LOCAL], used=[True, False, None]) == [[0], [], [0]]
    assert served(gpus, [LOCAL], used=[False, False, False]) == [[0]] * 3


def test_what_is_declared_goes_first():
    gpus = [gpu(0), gpu(1), gpu(0, "node")]
    routes = [LOCAL, OTHER_LOCAL, REMOTE]
    declared = ["http://localhost:8001=box:1", "http://10.0.0.5:8000/llama=node:GPU-node-0"]
    assert served(gpus, routes, *declared) == [[0], [1], [2]]


def test_several_gpus_and_any_path_below_the_url():
    assert served([gpu(0), gpu(1)], [LOCAL], "http://127.0.0.1:8000/v1=box:0,1") == [[0], [0]]


def test_a_cpu_package_serves_nothing():
    assert served([Device("box", "cpu", None, None, "package-0")], [LOCAL]) == [[]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "URL=HOST:GPU"),
        ("http://127.0.0.1:8000=box", "URL=HOST:GPU"),
        ("http://127.0.0.1:port=box:0", "URL=HOST:GPU"),
        ("http://127.0.0.1:9999=box:0", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000=box:7", "box:0"),
    ],
)
def test_what_cannot_be_is_refused_with_what_there_is(text, words):
    with pytest.raises(ServesInvalid, match=words):
        served([gpu(0)], [LOCAL], text)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.53", "::1", "[::1]", "0.0.0.0", "api.localhost"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "localhost.example.com", "", None])
def test_not_loopback(host):
    assert not is_loopback(host)
