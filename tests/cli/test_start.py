"""What a process loads before it replays, and how it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command_line import environment, run
from tracekit.analyzers.kernels import jit
from tracekit.analyzers.replay import compile_kernel

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,480,10\n2023-11-16 18:17:04,318,8\n"
NOT_FOR_A_REPLAY = {
    "asyncio", "httpx", "jinja2", "matplotlib", "multiprocessing", "numba", "openai",
    "pandas", "polars", "pyarrow.compute", "pyarrow.dataset", "pynvml", "rich.markdown", "torch",
}  # fmt: skip
MODULES_OF_MAIN = """\
import atexit, sys
sys.argv[0] = "tracekit"
atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))
from tracekit.cli import main
main()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "azure.csv").write_text(AZURE)
    run("import", "azure", "azure.csv", "-o", "t.parquet", cwd=tmp_path)
    return tmp_path


def python(code, *words, cwd):
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


@pytest.mark.skipif(jit.IS_OFF, reason="kernels run as plain Python")
def test_a_replay_loads_only_what_it_needs(folder):
    compile_kernel()
    done = python(MODULES_OF_MAIN, "replay", "t.parquet", "--gpu", "H100", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "makespan" in done.stdout
    assert NOT_FOR_A_REPLAY & set(done.stderr.split()) == set()


def test_the_end_runs_exit_handlers_and_keeps_the_code(tmp_path):
    done = python(MODULES_OF_MAIN, "replay", "missing.parquet", cwd=tmp_path)
    assert done.returncode == 2
    assert "tracekit.cli" in done.stderr.split()


def test_the_end_waits_for_threads(tmp_path):
    code = (
        "import atexit, sys, threading, time\n"
        "at_the_end = threading.Event()\n"
        "threading.Thread(target=lambda: (at_the_end.wait(), time.sleep(0.2), print('thread ended'))).start()\n"
        "from tracekit.cli import main\n"
        "threading._register_atexit(at_the_end.set)\n"
        "sys.argv = ['tracekit', '--version']\n"
        "main()\n"
    )
    done = python(code, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "thread ended"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_behind_stdout_is_told(folder):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tracekit", "info", "t.parquet"], cwd=folder, env=environment(),
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert "output: No space left on device" in done.stderr


def test_numpys_threads_are_left_to_child_processes():
    code = (
        "import os\n"
        "from tracekit.commands.blas import load_without_threads\n"
        "load_without_threads()\n"
        "threads = len(os.listdir('/proc/self/task')) if os.path.isdir('/proc/self/task') else 1\n"
        "print(threads, 'OPENBLAS_NUM_THREADS' in os.environ)\n"
    )
    env = {name: value for name, value in environment().items() if name != "OPENBLAS_NUM_THREADS"}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["1", "False"]
