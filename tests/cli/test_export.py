"""`tracekit export` as a user types it."""

import csv
import io
import json

import pytest

from tests.cli.command_line import run
from tests.unit.interchange.export_story import write_story


@pytest.fixture
def folder(tmp_path):
    write_story(tmp_path / "run.parquet")
    return tmp_path


@pytest.mark.parametrize("name", ["perfetto", "speedscope", "csv", "otlp"])
def test_a_file_is_written_and_never_overwritten_unasked(folder, name):
    _out, err = run("export", name, "run.parquet", "-o", "out", cwd=folder)
    assert "wrote out" in err
    assert (folder / "out").stat().st_size > 1000
    _out, err = run("export", name, "run.parquet", "-o", "out", cwd=folder, code=2)
    assert "--force" in err
    run("export", name, "run.parquet", "-o", "run.parquet", "--force", cwd=folder, code=2)
    assert sorted(path.name for path in folder.iterdir()) == ["out", "run.parquet"]


def test_text_goes_to_stdout_and_bytes_do_not(folder):
    out, _err = run("export", "csv", "run.parquet", "-o", "-", cwd=folder)
    assert len(list(csv.DictReader(io.StringIO(out)))) == 16
    out, _err = run("export", "otlp", "run.parquet", "-o", "-", cwd=folder)
    assert len([json.loads(line) for line in out.splitlines()]) == 2
    _out, err = run("export", "perfetto", "run.parquet", "-o", "-", cwd=folder, code=2)
    assert "-o" in err
