"""`python -m tests.golden.reports.write` writes the golden reports anew, of crafted traces in tests/unit/reports."""

import json
import re
import tempfile
from pathlib import Path

from tests.unit.reports.documents import crafted_comparison, crafted_document
from tracekit.reports.rendering import rendered

FOLDER = Path(__file__).parent
FORMATS = ("html", "md", "csv", "json")
KINDS = ("report", "comparison")


def report(document, format_name):
    """The report; of HTML only what we write ourselves, for charts and hashes change with matplotlib's version."""
    text = rendered(document, format_name)
    if format_name != "html":
        return text
    text = re.sub(r'(<svg role="img" aria-label="[^"]*")[^>]*>.*?</svg>', r"\1/>", text, flags=re.DOTALL)
    text = re.sub(r"<(style|script)>.*?</\1>", r"<\1></\1>", text, flags=re.DOTALL)
    return re.sub(r"sha256-[A-Za-z0-9+/=]*", "sha256-", text)


def crafted(kind):
    """The document whose golden files are called `kind`: an analysis (report) or a comparison."""
    with tempfile.TemporaryDirectory() as folder:
        made = (
            crafted_comparison(Path(folder))
            if kind == "comparison"
            else crafted_document(Path(folder) / "crafted.parquet")
        )
        return json.loads(json.dumps(made))


if __name__ == "__main__":
    for kind in KINDS:
        document = crafted(kind)
        for name in FORMATS:
            (FOLDER / f"{kind}.{name}").write_text(report(document, name), encoding="utf-8")
