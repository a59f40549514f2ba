"""Traces by URL as a user types them: every reader says of one what it says of the file."""

import json
import shutil
import tomllib

import pytest

from tests.cli.command_line import ROOT, run
from tests.unit.remote.servers import serving
from tracekit.analyzers.replay import compile_kernel

FLEET = ("--gpu", "L40S", "--model", "Llama-3.1-8B")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    compile_kernel()
    folder = tmp_path_factory.mktemp("remote")
    for name in ("react", "chat"):
        shutil.copy(ROOT / "sample_traces" / f"{name}.parquet", folder)
    return folder


@pytest.fixture(scope="module")
def web(folder):
    with serving(folder) as (address, served):
        yield address, served


def in_both_places(folder, address, *words, code=0):
    """What the command prints of the files, and of the same by URL; what names them is made alike."""
    here = run(*words, cwd=folder, code=code)
    there = run(
        *(f"{address}/{word}" if str(word).endswith(".parquet") else word for word in words),
        cwd=folder,
        code=code,
    )
    return here[0], there[0].replace(f"{address}/", "")


@pytest.mark.parametrize(
    "words",
    [
        ("info", "react.parquet", "--json"),
        ("analyze", "react.parquet", *FLEET, "--json"),
        ("replay", "react.parquet", *FLEET, "--rate", "1/s", "--sessions", "20", "--json"),
        ("compare", "react.parquet", "chat.parquet", *FLEET, "--json"),
        ("sweep", "react.parquet", "chat.parquet", *FLEET, "--over", "replicas=1,2", "--json"),
        (
            *("size", "react.parquet", "--rate", "2/s", "--slo", "session_p95<20s", "--gpus", "L40S"),
            *("--tp", "1", "--routers", "least-outstanding", "--replicates", "20", "--brief", "--json"),
        ),
        ("export", "csv", "react.parquet", "-o", "-"),
    ],
    ids=lambda words: words[0],
)
def test_a_url_is_read_like_a_file(folder, web, words):
    here, there = in_both_places(folder, web[0], *words)
    assert there == here


def test_traces_of_several_hosts(folder, web):
    offset = ("--offset", "chat.parquet=0", "--force")
    run("merge", "react.parquet", "chat.parquet", "-o", "here.parquet", *offset, cwd=folder)
    run("merge", f"{web[0]}/react.parquet", "chat.parquet", "-o", "there.parquet", *offset, cwd=folder)
    rows = [
        json.loads(run("info", f"{name}.parquet", "--json", cwd=folder)[0])["rows"]
        for name in ("here", "there")
    ]
    assert rows[0] == rows[1]
    _out, err = run("merge", *[f"{web[0]}/chat.parquet"] * 2, "-o", "x.parquet", cwd=folder, code=2)
    assert "is given twice" in err


def test_a_calibration_of_a_trace(folder, web):
    words = ("--gpu", "L40S", "--model", "Llama-3.1-8B", "-o", "-")
    places = ("chat.parquet", f"{web[0]}/chat.parquet")
    here, there = (tomllib.loads(run("calibrate", place, *words, cwd=folder)[0]) for place in places)
    dates = [[one.pop("date") for one in told["calibration"]] for told in (here, there)]
    assert here == there
    assert all(len(date) == 10 for of in dates for date in of)
    _out, err = run("calibrate", f"{web[0]}/rows.csv", cwd=folder, code=2)
    assert "fetch a table of rows" in " ".join(err.split())


def test_names_and_secrets(folder, web):
    url = f"{web[0]}/react.parquet?X-Amz-Signature=abc"
    words = (f"mine={web[0]}/react.parquet?sig=abc", f"{web[0]}/chat.parquet", *FLEET, "--json")
    document = json.loads(run("compare", *words, cwd=folder)[0])
    assert [one["name"] for one in document["workflows"]] == ["mine", "chat"]
    out, err = run("analyze", url, *FLEET, "-o", "a.html", "--force", cwd=folder)
    for told in (out, err, (folder / "a.html").read_text(), json.dumps(document)):
        assert "abc" not in told
    assert f"{web[0]}/react.parquet" in (folder / "a.html").read_text()


def test_what_is_written_is_written_here(folder, web):
    for words, told in (
        (
            ("replay", "react.parquet", *FLEET, "-o", "s3://bucket/t.parquet"),
            "s3://bucket/t.parquet is a URL",
        ),
        (("analyze", "react.parquet", *FLEET, "-o", f"{web[0]}/a.html"), "Choose a path with -o"),
        (("merge", "react.parquet", "chat.parquet", "-o", "gs://b/m.parquet"), "gs://b/m.parquet is a URL"),
        (("record", "-o", "s3://bucket/r.parquet", "--", "true"), "s3://bucket/r.parquet is a URL"),
        (("recover", "s3://bucket/r.parquet.spool"), "recovered from a folder on this machine"),
        (("import", "azure", "https://host/azure.csv", "-o", "i.parquet"), "Fetch the file first"),
    ):
        _out, err = run(*words, cwd=folder, code=125 if words[0] == "record" else 2)
        assert told in " ".join(err.split())


def test_what_cannot_be_read(folder, web):
    address, served = web
    for url, told in (
        (f"{address}/nothing.parquet", "There is no file"),
        ("htps://host/run.parquet", "Did you mean https"),
        ("http://127.0.0.1:9/run.parquet", "Check the URL and the network"),
    ):
        _out, err = run("info", url, cwd=folder, code=2)
        assert told in " ".join(err.split())
        assert len(err.strip().splitlines()) == 1
    served.status = 403
    _out, err = run("info", f"{address}/react.parquet", cwd=folder, code=2)
    served.status = None
    assert "may not be read" in err
