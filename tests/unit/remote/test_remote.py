"""A trace by URL: the same rows, few of the bytes, and a paragraph for whatever goes wrong."""

import io
import sys

import fsspec
import numpy as np
import pytest
from fsspec.registry import known_implementations

from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted
from tests.unit.remote.servers import serving
from tracekit import remote
from tracekit.errors import RemoteRefused, TracekitError, UnknownName
from tracekit.location import Url
from tracekit.remote import refused
from tracekit.schema import Kind
from tracekit.trace import Trace


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trace of calls with long lists, which few readers want."""
    folder = tmp_path_factory.mktemp("remote")
    random = np.random.default_rng(1)
    calls = [
        call_row(
            10 * place + 1,
            1000 * place,
            1000 * place + 500,
            session=10 * place,
            chunk_gap_us=random.random(2000).tolist(),
        )
        for place in range(300)
    ]
    tools = [
        tool_row(10 * place + 2, 1000 * place + 500, 1000 * place + 700, session=10 * place)
        for place in range(300)
    ]
    sessions = [session_row(10 * place, 1000 * place, 1000 * place + 700) for place in range(300)]
    write_crafted(folder / "run.parquet", calls, tools, sessions)
    (folder / "text.parquet").write_text("no Parquet, but long enough to look like something" * 100)
    return folder


@pytest.fixture(scope="module")
def here(folder):
    return Trace.open(folder / "run.parquet")


def same_rows(there, here):
    for kind in Kind:
        assert there.count(kind) == here.count(kind)
        assert there.rows(kind).equals(here.rows(kind))
    columns = ["row_id", "chunk_gap_us"]
    pieces = [list(trace.pieces(Kind.LLM_CALL, columns)) for trace in (there, here)]
    assert [piece.to_pylist() for piece in pieces[0]] == [piece.to_pylist() for piece in pieces[1]]


def test_in_memory(folder, here):
    files = fsspec.filesystem("memory")
    with files.open("/bucket/run.parquet", "wb") as file:
        file.write((folder / "run.parquet").read_bytes())
    there = Trace.open("memory://bucket/run.parquet")
    assert there.path == Url("memory://bucket/run.parquet")
    assert there.provenance == here.provenance
    same_rows(there, here)
    with pytest.raises(RemoteRefused, match=r"There is no file memory://bucket/other\.parquet"):
        Trace.open("memory://bucket/other.parquet")
    files.makedirs("/empty/folder")
    for folder_there in ("memory://bucket", "memory://empty/folder"):
        with pytest.raises(RemoteRefused, match=f"{folder_there}"):
            Trace.open(folder_there)


class Prefix:
    """A store that opens a prefix as an empty file, as S3's driver does."""

    def open(self, path, mode, **options):
        return io.BytesIO()

    def isdir(self, path):
        return path == "bucket/runs"


def test_a_prefix_of_a_store_is_a_folder(monkeypatch):
    monkeypatch.setattr(remote, "_file_system", lambda url: (Prefix(), url.text.removeprefix("s3://")))
    with pytest.raises(RemoteRefused, match="is a folder, not a trace"):
        Trace.open("s3://bucket/runs")
    with pytest.raises(RemoteRefused, match="not a complete Parquet file"):
        Trace.open("s3://bucket/empty.parquet")


def test_by_http(folder, here):
    with serving(folder) as (address, _served):
        same_rows(Trace.open(f"{address}/run.parquet"), here)
        same_rows(Trace.open(f"simplecache::{address}/run.parquet"), here)


def test_by_a_signed_url_that_may_only_be_got(folder, here):
    with serving(folder) as (address, served):
        served.heads = False
        there = Trace.open(f"{address}/run.parquet?X-Amz-Signature=secret")
        assert there.count(Kind.LLM_CALL) == here.count(Kind.LLM_CALL)
        assert "secret" not in str(there.path)


def test_only_what_is_asked_for_comes(folder):
    whole = (folder / "run.parquet").stat().st_size
    assert whole > 2_000_000
    with serving(folder) as (address, served):
        there = Trace.open(f"{address}/run.parquet")
        footer = served.total
        there.rows(Kind.LLM_CALL, ["start_ns", "end_ns", "input_tokens"])
        there.rows(Kind.TOOL_SPAN)
        assert footer < 0.05 * whole
        assert served.total < 0.1 * whole
        assert len(served.sent["run.parquet"]) < 20
        there.rows(Kind.LLM_CALL, ["chunk_gap_us"])
        assert served.total > 0.8 * whole


def test_a_folder_without_permission_and_other_answers(folder):
    with serving(folder) as (address, served):
        url = f"{address}/run.parquet"
        with pytest.raises(RemoteRefused, match=r"There is no file http://.*/nothing\.parquet\. Check"):
            Trace.open(f"{address}/nothing.parquet")
        no = "may not be read"
        for status, told in ((403, no), (401, no), (410, "There is no file"), (500, "500")):
            served.status = status
            with pytest.raises(RemoteRefused, match=told):
                Trace.open(url)
        served.status = None
        with pytest.raises(RemoteRefused, match="not a complete Parquet file"):
            Trace.open(f"{address}/text.parquet")
        opened = Trace.open(url)
        served.cut = True
        with pytest.raises(RemoteRefused, match="cannot be read"):
            opened.rows(Kind.LLM_CALL)
        with pytest.raises(RemoteRefused, match="cannot be read"):
            list(opened.pieces(Kind.LLM_CALL, ["chunk_gap_us"]))
    with pytest.raises(RemoteRefused, match="Check the URL and the network"):
        Trace.open(url)
    with pytest.raises(RemoteRefused, match="Check the URL and the network"):
        opened.rows(Kind.LLM_CALL)


def test_a_server_that_sends_whole_files_only(folder):
    whole = pytest.raises(RemoteRefused, match="sends whole files only")
    with serving(folder, in_parts=False) as (address, _served), whole:
        Trace.open(f"{address}/run.parquet")


def test_what_has_to_be_installed(monkeypatch):
    monkeypatch.setitem(known_implementations["s3"], "class", "no_such_package.S3FileSystem")
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    for url in ("s3://bucket/run.parquet", "simplecache::s3://bucket/run.parquet"):
        with pytest.raises(RemoteRefused, match=r"needs s3fs: pip install s3fs"):
            Trace.open(url)
    monkeypatch.setitem(
        known_implementations, "tape", {"class": "no_such_package.Tape", "err": "Buy a reader"}
    )
    with pytest.raises(RemoteRefused, match="cannot be read: Buy a reader"):
        Trace.open("tape://run.parquet")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(RemoteRefused, match=r"pip install 'tracekit-replay\[remote\]'"):
        Trace.open("s3://bucket/run.parquet")


def test_a_kind_of_url_that_is_none():
    with pytest.raises(UnknownName, match=r"Unknown kind of URL 'htps'\. Did you mean https"):
        Trace.open("htps://host/run.parquet")


class NoCredentialsError(Exception):
    """As botocore's."""


def test_errors_of_drivers_are_told_by_what_they_mean():
    url = Url("s3://bucket/run.parquet")
    for error, told in (
        (PermissionError("Forbidden"), "may not be read"),
        (NoCredentialsError("Unable to locate credentials"), "Unable to locate credentials"),
        (FileNotFoundError("bucket/run.parquet"), "There is no file"),
        (IsADirectoryError("bucket"), "is a folder"),
        (TimeoutError(), "TimeoutError"),
        (RuntimeError("first line\nsecond line"), "(first line)"),
    ):
        words = str(refused(url, error))
        assert told in words
        assert "\n" not in words
    known = TracekitError("as it is")
    assert refused(url, known) is known
