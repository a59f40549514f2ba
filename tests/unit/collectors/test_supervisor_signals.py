"""The supervisor's signals beside threads of libraries, which do not block them."""

import os
import subprocess
import sys

from tests.cli.command_line import ROOT, environment

PROGRAM = """
import faulthandler, os, signal, threading
from tracekit.collectors.launch import _Signals
threading.Thread(target=threading.Event().wait, daemon=True).start()
faulthandler.dump_traceback_later(60, exit=True)
"""
CHILDREN = """
for _ in range(1000):
    signals = _Signals()
    os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", ":"], {}), 0)
    signals.restore()
"""
LATE = """
signals = _Signals()
signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
signals.restore()
print("it was the agent's")
"""


def ran(text):
    command = [sys.executable, "-P", "-c", PROGRAM + text]
    return subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)


def test_what_another_thread_takes_is_not_waited_for():
    """A child's end is for the whole process: which thread hears of it is the system's choice."""
    done = ran(CHILDREN)
    assert done.returncode == 0, done.stderr


def test_what_came_while_the_agent_ended_is_dropped():
    done = ran(LATE)
    assert (done.returncode, done.stdout) == (0, "it was the agent's\n"), done.stderr


def test_no_thread_of_numpy_is_beside_the_supervisor(tmp_path):
    show = "import os; print(len(os.listdir(f'/proc/{os.getppid()}/task')), os.environ.get('OPENBLAS_NUM_THREADS'))"
    words = ["record", "-q", "-o", "t.parquet", "--", sys.executable, "-c", show]
    command = [sys.executable, "-P", "-m", "tracekit", *words]
    env = {name: value for name, value in environment().items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    threads, variable = done.stdout.split()
    assert int(threads) <= 2, "pyarrow's jemalloc has one, which blocks all signals"
    assert variable == "None"
    assert os.path.exists(tmp_path / "t.parquet")
