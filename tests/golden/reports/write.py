"""`python -m tests.golden.reports.write` writes the golden reports anew, of the crafted trace in tests/unit/reports."""

import json
import re
import tempfile
from pathlib import Path

from tests.unit.reports.documents import crafted_document
from tracekit.reports.rendering import rendered

FOLDER = Path(__file__).parent
FORMATS = ("html", "md", "csv", "json")


def report(document, format_name):
    """The report; of HTML only what we write ourselves, for charts and hashes change with matplotlib's version."""
    text = rendered(document, format_name)
    if format_name != "html":
        return text
    text = re.sub(r'(<svg role="img" aria-label="[^"]*")[^>]*>.*?</svg>', r"\1/>", text, flags=re.DOTALL)
    text = re.sub(r"<(style|script)>.*?</\1>", r"<\1></\1>", text, flags=re.DOTALL)
    return re.sub(r"sha256-[A-Za-z0-9+/=]*", "sha256-", text)


def crafted():
    with tempfile.TemporaryDirectory() as folder:
        return json.loads(json.dumps(crafted_document(Path(folder) / "crafted.parquet")))


if __name__ == "__main__":
    document = crafted()
    for name in FORMATS:
        (FOLDER / f"report.{name}").write_text(report(document, name), encoding="utf-8")
