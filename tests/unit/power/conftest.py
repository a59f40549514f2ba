"""The fake NVML, compiled once, inside this process with a clock of its own, and for processes by the real clock."""

from __future__ import annotations

import _ctypes
import ctypes
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.spool import Writer
from tracekit.demo.fake_gpu import PLAY_VARIABLE, FakeGpus, build, environment
from tracekit.spool import Spool, read_spool

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"), "-Wall", "-Wextra", "-Werror")


@pytest.fixture(scope="session")
def _loaded(library: Path) -> Iterator[ctypes.CDLL]:
    loaded = ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    loaded.fake_set_time.argtypes = [ctypes.c_double]
    yield loaded
    pynvml.nvmlLib = None
    pynvml._nvmlGetFunctionPointer_cache.clear()
    _ctypes.dlclose(loaded._handle)


@pytest.fixture
def play(_loaded, tmp_path, monkeypatch) -> Iterator[Callable[[FakeGpus], Callable[[float], None]]]:
    """Start NVML, through nvidia-ml-py, with fake GPUs; given back is what sets their time."""

    def start(gpus: FakeGpus) -> Callable[[float], None]:
        _shut_down()  # a new play is read by the first who begins
        monkeypatch.setenv(PLAY_VARIABLE, str(gpus.write(tmp_path / "play")))
        pynvml.nvmlInit()
        _loaded.fake_set_time(0.0)
        return _loaded.fake_set_time

    yield start
    _shut_down()


def _shut_down() -> None:
    """As often as it was begun."""
    if pynvml.nvmlLib is None:
        return
    while True:
        try:
            pynvml.nvmlShutdown()
        except pynvml.NVMLError:
            return


@pytest.fixture
def writer(tmp_path) -> Writer:
    (tmp_path / "spool").mkdir()
    return Writer(str(tmp_path / "spool"), Clock(), is_agent=False)


class Running:
    """A sampler's process beside fake GPUs, which play from its start on."""

    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        self.process = process
        self.directory = directory

    def wait_for(self, condition: Callable[[list[dict[str, Any]]], object], patience_s: float = 30) -> None:
        end_s = time.monotonic() + patience_s
        while time.monotonic() < end_s:
            if condition(read_spool(self.directory).records if list(self.directory.glob("*.jsonl")) else []):
                return
            time.sleep(0.02)
        raise AssertionError(f"not seen: {read_spool(self.directory).records[-5:]}")

    def stop(self) -> Spool:
        self.process.terminate()
        out, err = self.process.communicate(timeout=20)
        assert (self.process.returncode, out, err) == (0, "", "")
        return read_spool(self.directory)


@pytest.fixture
def sampling(library, tmp_path) -> Iterator[Callable[..., Running]]:
    """Start a sampler; `more` words go to its command line."""
    started: list[subprocess.Popen[str]] = []

    def start(gpus: FakeGpus, *more: str) -> Running:
        directory = tmp_path / "spool"
        directory.mkdir(exist_ok=True)
        surroundings = environment(library, gpus.write(tmp_path / "play")) | {"PYTHONPATH": str(ROOT)}
        words = ["--spool", str(directory), "--interval", "0.02", *more]
        process = subprocess.Popen(
            [sys.executable, "-m", "tracekit.collectors.power_sampler", *words],
            env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return Running(process, directory)

    yield start
    for process in started:
        process.kill()
        process.communicate()
