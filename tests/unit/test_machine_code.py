"""The kernels' machine code on disk: when it is used, and what stands in for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tracekit.analyzers.kernels import code_file, jit
from tracekit.analyzers.kernels.code_file import KEPT, CodeFile
from tracekit.analyzers.kernels.event_loop import advance
from tracekit.analyzers.kernels.example import entry_arguments
from tracekit.analyzers.kernels.machine_code import MachineCode
from tracekit.analyzers.kernels.word_table import form, parts, word_table
from tracekit.analyzers.replay import compile_kernel, kernel_is_compiled

ROOT = Path(__file__).parents[2]
needs_code = pytest.mark.skipif(jit.IS_OFF, reason="kernels run as plain Python")


@pytest.fixture
def file(tmp_path: Path) -> CodeFile:
    return CodeFile(tmp_path / "kernels-0.machine_code")


def forms(arguments: tuple) -> list[str]:
    return [form(part) for part in parts(arguments)]


def test_what_is_written_is_read(file: CodeFile) -> None:
    assert file.read() is None
    file.write({"calls": []}, b"code\nof lines")
    assert file.read() == ({"calls": []}, b"code\nof lines")
    assert [each.name for each in file.path.parent.iterdir()] == [file.path.name]


@pytest.mark.parametrize("place", [0, 70, -1])
def test_a_damaged_file_is_as_none(file: CodeFile, place: int) -> None:
    file.write({"calls": []}, b"code")
    content = bytearray(file.path.read_bytes())
    content[place] ^= 1
    file.path.write_bytes(content)
    assert file.read() is None


def test_a_torn_file_is_as_none(file: CodeFile) -> None:
    file.write({"calls": []}, b"code")
    file.path.write_bytes(file.path.read_bytes()[:-1])
    assert file.read() is None


def test_the_newest_files_are_kept(tmp_path: Path) -> None:
    for age in range(6):
        file = CodeFile(tmp_path / f"kernels-{age}.machine_code")
        file.write({}, b"")
        os.utime(file.path, (age, age))
    CodeFile(tmp_path / "kernels-new.machine_code").write({}, b"")
    left = sorted(each.name for each in tmp_path.iterdir())
    assert len(left) == KEPT
    assert "kernels-new.machine_code" in left


def test_a_refusal_holds_until_there_is_code(file: CodeFile) -> None:
    assert file.refused() is None
    file.refuse("no compiler here")
    assert file.refused() == "no compiler here"
    file.write({}, b"")
    assert file.refused() is None


def test_another_source_or_setting_is_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in Path(code_file.__file__).parent.glob("*.py"):
        shutil.copy(source, tmp_path)
    monkeypatch.setattr(code_file, "__file__", str(tmp_path / "code_file.py"))
    before = CodeFile.ours().path.name
    monkeypatch.setenv("NUMBA_OPT", "1")
    steered = CodeFile.ours().path.name
    monkeypatch.delenv("NUMBA_OPT")
    assert CodeFile.ours().path.name == before
    with (tmp_path / "waiting.py").open("a") as source:
        source.write("\n")
    assert len({before, steered, CodeFile.ours().path.name}) == 3


# --- arguments ---


def test_numbers_stand_by_value_and_arrays_by_address_and_shape() -> None:
    array = np.zeros((2, 3))
    arguments = (7, (array, 0.5))
    table = word_table(arguments, forms(arguments))
    assert table[:4].tolist() == [7, array.ctypes.data, 2, 3]
    assert table[4:].view(np.float64).tolist() == [0.5]


@pytest.mark.parametrize(
    "other",
    [
        np.zeros(4, np.int32),
        np.zeros((2, 2), np.int64),
        np.zeros(8, np.int64)[::2],
        np.zeros(4, "i8,i8"),
        4,
        None,
    ],
)
def test_another_layout_is_a_type_error(other: object) -> None:
    with pytest.raises(TypeError, match="part 0 is"):
        word_table((other,), forms((np.zeros(4, np.int64),)))


def test_an_array_that_may_not_be_written_is_a_type_error() -> None:
    array = np.zeros(4, np.int64)
    expected = forms((array,))
    array.flags.writeable = False
    with pytest.raises(TypeError, match="read-only"):
        word_table((array,), expected)
    with pytest.raises(TypeError, match="0 parts, not 1"):
        word_table((), expected)


@needs_code
def test_machine_code_refuses_what_it_was_not_compiled_for() -> None:
    compile_kernel()
    sim, segments, instants = entry_arguments()["advance"]
    wrong = sim._replace(lag_s=sim.lag_s.astype(np.float32))
    with pytest.raises(TypeError, match="float32"):
        advance(wrong, segments, instants)


# --- processes ---


def test_code_that_needs_what_the_process_lacks_is_not_loaded() -> None:
    with pytest.raises(OSError, match="no_such_function"):
        MachineCode.of({"calls": ["no_such_function"], "entries": {}}, b"")


def replay_in_a_process(folder: Path, after: str = "") -> str:
    code = "import sys; from tracekit.analyzers.replay import *; " + (after or "compile_kernel()")
    code += "; print('numba' in sys.modules, kernel_is_compiled())"
    env = os.environ | {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=500
    )
    return done.stdout.strip()


@needs_code
def test_a_warm_process_does_without_numba(tmp_path: Path) -> None:
    compile_kernel()
    assert kernel_is_compiled()
    ours = CodeFile.ours()
    shutil.copy(ours.path, tmp_path)
    assert replay_in_a_process(tmp_path) == "False True"


@needs_code
def test_a_damaged_file_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / CodeFile.ours().path.name).write_bytes(b"damaged")
    assert replay_in_a_process(tmp_path, "kernel_is_compiled()") == "True False"


@needs_code
def test_where_compiling_fails_numba_does_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is compiled here: what is called is numba's own, which would be."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    CodeFile.ours().refuse("it failed before")
    after = (
        "from tracekit.analyzers.kernels import jit; from numba.core.dispatcher import Dispatcher; "
        "assert jit.COMPILATION.result() is None; "
        "assert all(isinstance(entry.kernel, Dispatcher) for entry in jit.ENTRIES.values())"
    )
    assert replay_in_a_process(tmp_path, after).startswith("True")


# --- a kernel of three lines, compiled as all others are ---

TINY = """
import numpy as np
from tracekit.analyzers.kernels import jit

@jit.entry_kernel
def doubled(numbers):
    for place in range(numbers.size):
        numbers[place] *= 2
    return numbers.size

if __name__ == "__main__":
    from tracekit.analyzers.kernels import compilation
    compilation.entry_arguments = lambda: {"doubled": (np.zeros(3, np.int64),)}
    compilation.main()
"""

USE = """
import sys, numpy as np
from tracekit.analyzers.kernels import jit
jit.COMPILER = sys.argv[1:]
import tiny
numbers = np.arange(3)
count = tiny.doubled(numbers)
by_numba = type(getattr(tiny.doubled, "way", None)).__module__.startswith("numba")
print(count, numbers.tolist(), "found" if jit.CODE else "numba" if by_numba else "compiled")
"""


class TinyHouse:
    """A folder with a kernel, and a cache that processes share."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "cache"
        self.kernel = folder / "tiny.py"
        self.kernel.write_text(TINY)
        self.env = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
        self.env |= {"NUMBA_CACHE_DIR": str(self.cache), "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}

    def start(self, *compiler: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", USE, *(compiler or ["-P", str(self.kernel)])]
        return subprocess.Popen(
            words, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def use(self, *compiler: str) -> str:
        return self.said(self.start(*compiler))

    @staticmethod
    def said(process: subprocess.Popen[str]) -> str:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return out.strip()

    def files(self, pattern: str = "*") -> list[Path]:
        return [each for each in self.cache.glob(pattern) if each.is_file()]


@pytest.fixture
def house(tmp_path: Path) -> TinyHouse:
    return TinyHouse(tmp_path)


def test_processes_that_compile_at_once_leave_one_file(house: TinyHouse) -> None:
    together = [house.start() for _ in range(2)]
    assert [house.said(process) for process in together] == ["3 [0, 2, 4] compiled"] * 2
    (kept,) = house.files()
    content = kept.read_bytes()
    assert house.use() == "3 [0, 2, 4] found"
    kept.unlink()
    house.use()
    assert kept.read_bytes() == content


def test_a_torn_file_is_compiled_anew(house: TinyHouse) -> None:
    house.use()
    (kept,) = house.files()
    content = kept.read_bytes()
    kept.write_bytes(content[: len(content) // 2])
    assert house.use() == "3 [0, 2, 4] compiled"
    assert kept.read_bytes() == content


def test_what_failed_is_refused_and_not_tried_again(house: TinyHouse) -> None:
    assert house.use("-c", "raise SystemExit('no such luck')") == "3 [0, 2, 4] numba"
    (refused,) = house.files("*.refused")
    assert refused.read_text() == "no such luck"
    assert house.use() == "3 [0, 2, 4] numba"
    assert not house.files("*.machine_code")


def test_what_was_stopped_is_tried_again(house: TinyHouse) -> None:
    assert house.use("-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)") == "3 [0, 2, 4] numba"
    assert house.use() == "3 [0, 2, 4] compiled"


def test_kernels_run_where_nothing_can_be_kept(house: TinyHouse) -> None:
    """No folder can be made below a file, by nobody."""
    house.env |= dict.fromkeys(("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"), str(house.kernel / "below"))
    (house.folder / "__pycache__").write_text("")
    assert house.use() == "3 [0, 2, 4] numba"
