"""What is a path, what is a URL, and what of a URL is shown."""

from pathlib import Path

import pytest

from tracekit.location import Url, identity, is_url, location_of, url_meant, without_secrets


@pytest.mark.parametrize(
    "text",
    [
        "run.parquet",
        "/tmp/run.parquet",
        "../a b/run.parquet",
        "C:/run.parquet",
        "name=s3://bucket/run.parquet",
        "a:b/run.parquet",
        "s3:/bucket/run.parquet",
        "",
    ],
)
def test_paths(text):
    assert not is_url(text)
    assert location_of(text) == Path(text)
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    ("text", "kinds", "name", "shown"),
    [
        ("s3://bucket/runs/run.parquet", ["s3"], "run.parquet", None),
        ("gs://bucket/run 1.parquet", ["gs"], "run 1.parquet", None),
        ("HTTPS://host:8080/a%20b.parquet", ["https"], "a b.parquet", "https://host:8080/a%20b.parquet"),
        (
            "https://user:word@host/run.parquet?X-Amz-Signature=abc#x",
            ["https"],
            "run.parquet",
            "https://host/run.parquet",
        ),
        ("memory://run.parquet", ["memory"], "run.parquet", None),
        ("simplecache::s3://b/run.parquet", ["simplecache", "s3"], "run.parquet", None),
    ],
)
def test_urls(text, kinds, name, shown):
    location = location_of(text)
    assert isinstance(location, Url)
    assert location.text == text
    assert location.kinds == kinds
    assert (location.name, location.stem) == (name, name.removesuffix(".parquet"))
    assert str(location) == without_secrets(text) == (shown or text)


def test_a_url_behind_a_name_shows_no_secrets_either():
    assert without_secrets("mine=https://u:p@host/run.parquet?sig=a=b") == "mine=https://host/run.parquet"
    assert without_secrets("a=b=c") == "a=b=c"


def test_files_of_this_machine_are_paths():
    assert location_of("file:///tmp/a%20b.parquet") == Path("/tmp/a b.parquet")
    assert location_of("file://localhost/tmp/a.parquet") == Path("/tmp/a.parquet")


def test_one_file_has_one_identity(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert identity(Path("a")) == identity(tmp_path / "b" / ".." / "a") != identity(Path("b"))
    assert identity(Url("s3://b/a")) == identity(Url("s3://b/a")) != identity(Url("s3://b/c"))
    assert identity(Url("s3://b/a")) != identity(Path("s3://b/a"))


def test_a_path_that_was_meant_as_a_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert url_meant(Path("s3://bucket/run.parquet")) == "s3://bucket/run.parquet"
    assert url_meant(Path("https://u:p@host/run.parquet?sig=1")) == "https://host/run.parquet"
    for path in ("run.parquet", "/s3:/x", "a/b:/c", "-"):
        assert url_meant(Path(path)) is None
    (tmp_path / "s3:").mkdir()
    assert url_meant(Path("s3:/bucket")) is None
