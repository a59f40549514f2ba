"""`tracekit record` beside GPUs that are fakes, and beside a driver that never answers."""

import pytest

from tests.cli.command_line import environment as surroundings
from tests.cli.command_line import run
from tracekit.collectors import companion
from tracekit.demo.fake_gpu import LIBRARY, PLAY_VARIABLE, FakeGpus, Fault, Hang, PowerStep, build
from tracekit.schema import Kind
from tracekit.trace import Trace

STEPS = [PowerStep(0, (100.0, 200.0))]


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def fake_gpus(library, tmp_path, monkeypatch):
    def play(*events, steps=STEPS):
        monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
        monkeypatch.setenv(PLAY_VARIABLE, str(FakeGpus(steps, events=events).write(tmp_path / "play")))
        assert LIBRARY in {file.name for file in library.parent.iterdir()}
        assert surroundings()["LD_LIBRARY_PATH"] == str(library.parent)

    return play


def test_power_beside_a_command(fake_gpus, tmp_path):
    fake_gpus()
    run("record", "-o", "t.parquet", "--", "sleep", "1.5", cwd=tmp_path)
    rows = Trace.open(tmp_path / "t.parquet").rows(Kind.POWER_SAMPLE).to_pylist()
    assert {(row["gpu_index"], row["power_w"]) for row in rows} == {(0, 100.0), (1, 200.0)}
    assert all("fake" in row["gpu_name"] for row in rows)
    for index, watts in ((0, 100), (1, 200)):
        own = [row for row in rows if row["gpu_index"] == index]
        joules = own[-1]["energy_counter_j"] - own[0]["energy_counter_j"]
        seconds = (own[-1]["start_ns"] - own[0]["start_ns"]) / 1e9
        assert abs(joules - watts * seconds) <= watts * 0.1  # one update of the counter


def test_no_file_in_the_agents_folder_stands_in_for_one_of_the_samplers(fake_gpus, tmp_path):
    fake_gpus()
    for library in ("queue", "json", "pynvml", "selectors", "signal"):
        (tmp_path / f"{library}.py").write_text("raise SystemExit('an agent has files of any name')")
    run("record", "-o", "t.parquet", "--", "sleep", "1.5", cwd=tmp_path)
    assert Trace.open(tmp_path / "t.parquet").count(Kind.POWER_SAMPLE) > 10


@pytest.mark.parametrize("function", ["nvmlInitWithFlags", "nvmlDeviceGetTotalEnergyConsumption"])
def test_a_driver_that_hangs_for_ten_minutes_does_not_keep_the_agent(fake_gpus, tmp_path, function):
    fake_gpus(Hang(function, 600))
    _out, err = run("record", "-o", "t.parquet", "--", "sh", "-c", "exit 3", cwd=tmp_path, code=3)
    assert (
        "before the " in err or "driver_hangs" in err
    )  # the end, or the command's; or it took a second to end
    run("record", "-o", "u.parquet", "--", "sleep", "6", cwd=tmp_path)
    seen = Trace.open(tmp_path / "u.parquet").provenance.not_seen
    assert seen.power == "driver_hangs" or "GPU 0: driver_hangs" in seen.power_faults


def test_the_wait_for_companions_is_below_a_second():
    assert companion.TERM_SECONDS + companion.KILL_SECONDS < 1


def test_what_is_wrong_is_said_once(fake_gpus, tmp_path):
    fake_gpus(Fault("*", 15, 1, 0.3), Fault("nvmlDeviceGetTotalEnergyConsumption", 3, 0))
    _out, err = run("record", "-o", "t.parquet", "--", "sleep", "1.2", cwd=tmp_path)
    assert err.count("GPU 1: NVML_ERROR_GPU_IS_LOST") == 1
    assert err.count("GPU 0: no energy counter (NVML_ERROR_NOT_SUPPORTED)") == 1
    assert "GPU 1: NVML_ERROR_GPU_IS_LOST" in run("info", "t.parquet", cwd=tmp_path)[0]


def test_doctor_beside_a_driver(fake_gpus, tmp_path):
    fake_gpus()
    assert "NVML sees 2 GPU(s), driver 0.0 (fake)" in run("doctor", cwd=tmp_path)[0]
    fake_gpus(Hang("nvmlInitWithFlags", 600))
    assert "the NVIDIA driver does not answer" in run("doctor", cwd=tmp_path, code=1)[0]
