"""Every export of one small trace, byte for byte: `python -m tests.golden.test_exports` writes them anew."""

import sys
import tempfile
from pathlib import Path

import pytest

from tests.unit.interchange.export_story import write_story
from tracekit.interchange.formats import export_parts

FOLDER = Path(__file__).parent / "exports"
FILES = {
    "perfetto": "story.perfetto-trace",
    "speedscope": "story.speedscope.json",
    "csv": "story.csv",
    "otlp": "story.otlp.jsonl",
    "agentic-mooncake": "story.mooncake.jsonl",
}


def exported(name, folder):
    parts = export_parts(name, write_story(Path(folder) / "story.parquet")).parts
    return b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)


@pytest.mark.parametrize("name", FILES)
def test_export_is_the_golden_file(tmp_path, name):
    assert exported(name, tmp_path) == (FOLDER / FILES[name]).read_bytes()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or FILES:
            (FOLDER / FILES[name]).write_bytes(exported(name, folder))
