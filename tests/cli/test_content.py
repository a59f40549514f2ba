"""`record --usage` and `--content`, through the command line to the trace."""

import json
import sys

import pytest

from tests.cli.command_line import run
from tracekit.schema import Kind
from tracekit.trace import Trace

KEY = "sk-proj-abcdefghijklmnop1234"


def record(tmp_path, server, agent, *options, model="s-tools"):
    trace = tmp_path / "t.parquet"
    command = [
        sys.executable,
        agent,
        server.base_url,
        model,
        "--api-key",
        KEY,
    ]  # to this agent all are models
    _out, err = run("record", "-o", trace, *options, "--", *command, cwd=tmp_path)
    return Trace.open(trace), err


@pytest.mark.parametrize("content", ["none", "redacted", "full"])
def test_content_is_there_when_asked_for(tmp_path, server, agent, content):
    trace, err = record(tmp_path, server, agent, "--content", content)
    call = trace.rows(Kind.LLM_CALL).to_pylist()[0]
    assert trace.provenance.content == content
    assert ("will hold prompts and answers" in err) == (content != "none")
    assert ("the trace holds prompts and answers" in err) == (content != "none")
    if content == "none":
        assert call["request_content"] is call["response_content"] is None
        assert b"hi s-tools" not in trace.path.read_bytes()
    else:
        assert json.loads(call["request_content"])["messages"][0]["content"] == "hi s-tools"
        assert '"search"' in call["response_content"]
    assert KEY not in json.dumps(trace.provenance.command)
    assert trace.path.stat().st_mode & 0o777 == 0o600


def test_usage_is_asked_for(tmp_path, server, agent):
    trace, _err = record(tmp_path, server, agent, "--usage", "inject", model="s")
    call = trace.rows(Kind.LLM_CALL).to_pylist()[0]
    assert (call["usage_source"], call["input_tokens"], call["cached_tokens"]) == ("injected", 111, 64)
    assert server.seen[0].body["stream_options"] == {"include_usage": True}
    assert {call["model"] for call in trace.rows(Kind.LLM_CALL).to_pylist()} == {
        "s",
        "--api-key",
        "[API_KEY]",
    }
