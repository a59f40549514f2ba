"""`tracekit sample` and `tracekit merge` as typed: Ctrl-C keeps all, a kill too, clocks are asked for."""

import os
import signal
import socket
import time

import pytest

from tests.cli.command_line import run, start
from tests.cli.test_power import fake_gpus, library  # noqa: F401  (fixtures)
from tracekit.demo.fake_gpu import Fault
from tracekit.schema import Kind
from tracekit.trace import Trace


def wait_for_samples(folder, patience_s=30):
    end_s = time.monotonic() + patience_s
    while time.monotonic() < end_s:
        if any(b'"t":"power"' in file.read_bytes() for file in folder.glob("*.jsonl")):
            return
        time.sleep(0.02)
    raise AssertionError("no sample")


def test_for_a_while(fake_gpus, tmp_path):  # noqa: F811
    fake_gpus()
    _out, err = run("sample", "-o", "p.parquet", "--duration", "3", "--label", "rack=7", cwd=tmp_path)
    assert "power samples -> p.parquet" in err
    assert "LLM call was seen" not in err
    trace = Trace.open(tmp_path / "p.parquet")
    assert trace.count(Kind.POWER_SAMPLE) > 20
    assert trace.provenance.labels == {"rack": "7"}
    assert trace.provenance.not_seen.processes_not_followed == {}
    assert trace.provenance.hosts[0].boot_id
    assert not (tmp_path / "p.parquet.spool").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_done(fake_gpus, tmp_path, number):  # noqa: F811
    fake_gpus()
    process = start("sample", "-o", "p.parquet", cwd=tmp_path)
    wait_for_samples(tmp_path / "p.parquet.spool")
    process.send_signal(number)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert Trace.open(tmp_path / "p.parquet").count(Kind.POWER_SAMPLE) > 0


def test_a_kill_leaves_a_spool(fake_gpus, tmp_path):  # noqa: F811
    fake_gpus()
    process = start("sample", "-o", "p.parquet", cwd=tmp_path)
    wait_for_samples(tmp_path / "p.parquet.spool")
    process.kill()
    process.communicate()
    run("recover", "p.parquet.spool", cwd=tmp_path)
    assert Trace.open(tmp_path / "p.parquet").count(Kind.POWER_SAMPLE) > 0


def test_nothing_to_sample_ends_by_itself(fake_gpus, tmp_path):  # noqa: F811
    fake_gpus(Fault("nvmlInitWithFlags", 9))
    if any(os.path.exists(f"/sys/class/powercap/intel-rapl:{number}") for number in range(2)):
        pytest.xfail("this host has CPU counters to sample")
    _out, err = run("sample", "-o", "p.parquet", cwd=tmp_path, code=1)
    assert "GPU power (NVML_ERROR_DRIVER_NOT_LOADED)" in err


def test_two_recordings_of_one_host(fake_gpus, tmp_path):  # noqa: F811
    fake_gpus()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serving = start("sample", "-o", "gpu.parquet", "--serve", str(port), cwd=tmp_path)
    wait_for_samples(tmp_path / "gpu.parquet.spool")
    asked = 'until grep -qs \'"t":"clock_exchange"\' agent.parquet.spool/*.jsonl; do sleep 0.1; done'
    words = ("--clock", f"127.0.0.1:{port}", "--", "timeout", "60", "sh", "-c", asked)
    run("record", "-o", "agent.parquet", *words, cwd=tmp_path)
    serving.send_signal(signal.SIGINT)
    serving.communicate(timeout=30)
    marks = Trace.open(tmp_path / "agent.parquet").rows(Kind.MARK, ["name"])["name"].to_pylist()
    assert {"tracekit.clock", "tracekit.clock_exchange"} <= set(marks)
    _out, err = run("merge", "agent.parquet", "gpu.parquet", "-o", "all.parquet", cwd=tmp_path)
    assert "the same start of the same host" in err
    whole = Trace.open(tmp_path / "all.parquet")
    parts = [Trace.open(tmp_path / name) for name in ("agent.parquet", "gpu.parquet")]
    for kind in Kind:
        assert whole.count(kind) == sum(part.count(kind) for part in parts)
    run("merge", "agent.parquet", "gpu.parquet", "-o", "all.parquet", cwd=tmp_path, code=2)
    run("merge", "agent.parquet", "-o", "x.parquet", "--offset", "gpu", cwd=tmp_path, code=2)
    run("merge", "agent.parquet", "missing.parquet", "-o", "x.parquet", cwd=tmp_path, code=2)
    run("sample", "-o", "x.parquet", "--serve", "nowhere", cwd=tmp_path, code=2)


def test_a_port_that_is_taken_is_told_before_anything_is_sampled(fake_gpus, tmp_path):  # noqa: F811
    fake_gpus()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        _out, err = run("sample", "-o", "x.parquet", "--serve", port, cwd=tmp_path, code=2)
    assert "in use" in err
    assert not list(tmp_path.glob("x.parquet*"))


def test_a_clock_that_does_not_answer_is_told(fake_gpus, tmp_path):  # noqa: F811
    fake_gpus()
    _out, err = run("sample", "-o", "p.parquet", "--duration", "4", "--clock", "127.0.0.1:9", cwd=tmp_path)
    assert "the clock of 127.0.0.1:9" in err
