"""The built wheel, installed where the source tree is not: what a user gets from `pip install`."""

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT],
        check=True,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """The bin folder of an environment with the wheel; dependencies come from this one, the source does not."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            home / "bin/python",
            "install",
            "--quiet",
            "--no-deps",
            wheel,
        ],
        check=True,
    )
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def run(installed, *words, cwd, code=0):
    result = subprocess.run(
        [installed / words[0], *words[1:]], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == code, result.stderr
    return result


def test_the_wheel_holds_what_it_should(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "tracekit/py.typed",
        "tracekit/analyzers/catalog/gpus.toml",
        "tracekit/analyzers/kernels/replay.py",
        "tracekit/collectors/injected/sitecustomize.py",
        "tracekit/collectors/inside/httpx_hooks.py",
        "tracekit/sample_traces/README.md",
    ):
        assert needed in names
    assert any(name.startswith("tracekit/demo/corpus/") for name in names)
    assert not [
        name for name in names if name.startswith(("tests", "collectors", "analyzers", "benchmarks", "docs"))
    ]


def test_it_runs_away_from_the_source(installed, tmp_path):
    where = run(installed, "python", "-c", "import tracekit; print(tracekit.__file__)", cwd=tmp_path).stdout
    assert str(installed.parent) in where
    assert "record" in run(installed, "tracekit", "--help", cwd=tmp_path).stdout
    gpus = json.loads(run(installed, "tracekit", "info", "--gpus", "--json", cwd=tmp_path).stdout)["gpus"]
    assert "H100-SXM-80GB" in [gpu["name"] for gpu in gpus]


def test_literal_top_level_names_are_not_ours(installed, tmp_path):
    run(installed, "python", "-c", "import collectors", cwd=tmp_path, code=1)
    (tmp_path / "collectors.py").write_text("mine = 1\n")
    (tmp_path / "agent.py").write_text(
        "import collectors, tracekit.collectors.launch; print(collectors.mine)\n"
    )
    assert run(installed, "python", "agent.py", cwd=tmp_path).stdout == "1\n"


def test_it_records(installed, tmp_path):
    run(
        installed,
        "tracekit",
        "record",
        "-o",
        "t.parquet",
        "--",
        installed / "python",
        "-c",
        "raise SystemExit(3)",
        cwd=tmp_path,
        code=3,
    )
    held = json.loads(run(installed, "tracekit", "info", "t.parquet", "--json", cwd=tmp_path).stdout)
    assert held["rows"]["llm_call"] == 0
    assert held["provenance"]["exit_code"] == 3
