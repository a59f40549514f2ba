"""The agent against the served endpoint, both as processes of their own."""

import json
import signal
import subprocess
import sys

import httpx
import pytest

from tracekit.demo.serving import DemoServerError, serving


@pytest.mark.demo
def test_two_sessions_end_to_end(weights):
    pytest.importorskip("openai", reason="needs tracekit-replay[demo]")
    with serving(weights) as base_url:
        agent = subprocess.run(
            [
                sys.executable,
                "-m",
                "tracekit.demo.agent",
                "--base-url",
                base_url,
                "--sessions",
                "2",
                "--concurrency",
                "2",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        metrics = httpx.get(f"{base_url.removesuffix('/v1')}/metrics").text
    assert agent.stderr == ""
    assert agent.returncode == 0
    lines = sorted(agent.stdout.splitlines())
    assert lines[0].startswith("session 1: 5 calls, 5 tools")
    assert "744 tokens a second" in lines[0]
    assert lines[1].startswith("session 2: 4 calls, 5 tools")
    assert "llamacpp:requests_processing 0" in metrics


@pytest.mark.demo
def test_the_server_ends_with_the_block(weights):
    def interrupted():
        with serving(weights) as base_url:
            seen.append(base_url)
            assert httpx.get(f"{base_url}/models").status_code == 200
            raise KeyboardInterrupt

    seen = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{seen[0]}/models")


@pytest.mark.demo
@pytest.mark.parametrize("ending", ["SIGTERM", "SIGINT", "stdin"])
def test_the_server_ends_when_told(weights, ending):
    command = [
        sys.executable,
        "-m",
        "tracekit.demo.server",
        "--until-stdin-closes",
        "--weights",
        str(weights),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert b"base_url" in server.stdout.readline()
        if ending == "stdin":
            server.stdin.close()
        else:
            server.send_signal(getattr(signal, ending))
        assert server.wait(10) == 0


@pytest.mark.demo
def test_weights_that_are_none_are_told_with_the_servers_words(weights, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"not weights")
    with pytest.raises(DemoServerError, match="before it was ready"), serving(broken):
        pass


@pytest.mark.demo
def test_a_server_that_is_never_ready_is_ended(weights):
    with (
        pytest.raises(DemoServerError, match=r"not ready within 0\.01 s"),
        serving(weights, ready_timeout_s=0.01),
    ):
        pass


@pytest.mark.demo
def test_the_server_ends_in_the_middle_of_an_answer(weights):
    from tracekit.demo.questions import QUESTIONS
    from tracekit.demo.tools import DEFINITIONS

    request = {
        "messages": [{"role": "user", "content": QUESTIONS[0].text}],
        "tools": list(DEFINITIONS),
        "stream": True,
    }
    command = [sys.executable, "-m", "tracekit.demo.server", "--weights", str(weights)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        base_url = json.loads(server.stdout.readline())["base_url"]
        with httpx.stream("POST", f"{base_url}/chat/completions", json=request) as answer:
            assert next(answer.iter_lines()).startswith("data: ")
            server.terminate()
            assert server.wait(10) == 0
