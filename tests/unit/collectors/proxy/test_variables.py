"""Which variables lead where, and which are left alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tracekit.collectors.proxy import beside, dotenv
from tracekit.collectors.proxy.upstream import Upstreams
from tracekit.collectors.proxy.variables import VARIABLES, addresses

OPENAI = {"OPENAI_API_KEY": "sk"}
CLAUDE = {"*ANTHROPIC_BASE_URL": "https://api.anthropic.com", "*ENABLE_TOOL_SEARCH": "true"}
CASES: list[tuple[dict[str, str], dict[str, str], str, dict[str, str]]] = [
    # environment, .env, program -> variable: what its address stands for; * if the environment had none
    ({}, {}, "node", {}),
    (OPENAI, {}, "node", {"*OPENAI_BASE_URL": "https://api.openai.com/v1", "*OPENAI_API_BASE": "https://api.openai.com/v1"}),
    ({}, OPENAI, "node", {"*OPENAI_BASE_URL": "https://api.openai.com/v1", "*OPENAI_API_BASE": "https://api.openai.com/v1"}),
    ({"OPENAI_BASE_URL": "http://box:8000/v1"}, {}, "node", {"OPENAI_BASE_URL": "http://box:8000/v1"}),
    ({**OPENAI, "OPENAI_BASE_URL": "http://box:8000/v1/"}, {}, "sh", {"OPENAI_BASE_URL": "http://box:8000/v1/"}),
    ({**OPENAI, "OPENAI_API_BASE": "http://box:8000/v1"}, {}, "sh", {"OPENAI_API_BASE": "http://box:8000/v1"}),
    (OPENAI, {"OPENAI_BASE_URL": "http://box/v1"}, "sh", {"*OPENAI_BASE_URL": "http://box/v1"}),
    ({"OPENAI_BASE_URL": "http://a/v1"}, {"OPENAI_BASE_URL": "http://b/v1"}, "sh", {"OPENAI_BASE_URL": "http://a/v1"}),
    ({**OPENAI, "OPENAI_BASE_URL": ""}, {}, "sh", {"*OPENAI_API_BASE": "https://api.openai.com/v1"}),
    ({"OPENAI_BASE_URL": "not a url"}, {}, "sh", {}),
    ({"OPENAI_BASE_URL": "http://"}, {}, "sh", {}),
    (
        {**OPENAI, "AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/"}, {}, "node",
        {"AZURE_OPENAI_ENDPOINT": "https://me.openai.azure.com/"},
    ),
    ({**OPENAI, "OPENAI_API_VERSION": "2025-01-01"}, {}, "node", {}),
    ({"ANTHROPIC_API_KEY": "sk"}, {}, "node", CLAUDE),
    ({}, {}, "claude", CLAUDE),
    ({"ENABLE_TOOL_SEARCH": "false"}, {}, "claude", {"*ANTHROPIC_BASE_URL": "https://api.anthropic.com"}),
    ({"CLAUDE_CODE_USE_BEDROCK": "1"}, {}, "claude", {}),
    ({"ANTHROPIC_BASE_URL": "https://mine.example/a"}, {}, "claude", {"ANTHROPIC_BASE_URL": "https://mine.example/a"}),
    ({"OLLAMA_HOST": "box"}, {}, "sh", {"OLLAMA_HOST": "http://box:11434"}),
    ({"OLLAMA_HOST": "box:1"}, {}, "sh", {"OLLAMA_HOST": "http://box:1"}),
    ({"OLLAMA_HOST": "https://box/a"}, {}, "sh", {"OLLAMA_HOST": "https://box/a"}),
    ({"OLLAMA_HOST": ":12"}, {}, "sh", {"OLLAMA_HOST": "http://127.0.0.1:12"}),
    ({"OLLAMA_HOST": "[::1]"}, {}, "sh", {"OLLAMA_HOST": "http://[::1]:11434"}),
    ({"OLLAMA_HOST": "0.0.0.0:11434"}, {}, "sh", {}),
    ({"MY_SERVER": "http://box:1/v1", "OTHER": "http://box:2"}, {}, "sh", {"MY_SERVER": "http://box:1/v1"}),
    ({"GROQ_API_KEY": "sk"}, {}, "sh", {}),
]  # fmt: skip


@pytest.mark.parametrize(("environment", "near", "program", "expected"), CASES)
def test_addresses(
    environment: dict[str, str], near: dict[str, str], program: str, expected: dict[str, str]
) -> None:
    upstreams = Upstreams(4321)
    found = addresses(environment, near, program, upstreams, ("MY_SERVER",))
    assert set(found.replaced) <= set(environment)
    assert not set(found.added) & set(environment)

    def stands_for(address: str) -> str:
        known = re.fullmatch(r"http://127\.0\.0\.1:4321/([0-9a-f]{32})(.*)", address)
        return address if known is None else str(upstreams.origins[known[1]]) + known[2]

    shown = {name: stands_for(address) for name, address in found.replaced.items()}
    shown |= {f"*{name}": stands_for(address) for name, address in (found.added | found.restored).items()}
    assert shown == expected


def test_names_are_told_once() -> None:
    names = [variable.name for variable in VARIABLES]
    assert len(set(names)) == len(names)


def test_dotenv(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "src"
    inner.mkdir(parents=True)
    (tmp_path / "project" / ".env").write_text(
        "# a comment\nexport A=one\nB = 'two # more' # no\nC=three # no\nD=\"four\"\nnot a line\n1E=5\nA=late\n"
    )
    (inner / "agent.js").write_text("")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    said = dotenv.beside(["node", str(inner / "agent.js")], elsewhere)
    assert {name: said[name] for name in "ABCD"} == {"A": "one", "B": "two # more", "C": "three", "D": "four"}
    (elsewhere / ".env").write_text("A=nearer\n")
    (elsewhere / ".env.local").write_text("A=nearest\n")
    assert dotenv.beside(["node", str(inner / "agent.js")], elsewhere)["A"] == "nearest"
    (tmp_path / "project" / ".env").write_bytes(b"A=\xff\xfe\nB=1")
    assert dotenv.beside(["x" * 5000, "\x00"], inner)["B"] == "1"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {}),
        ({"HTTP_PROXY": ""}, {}),
        ({"HTTPS_PROXY": "http://p"}, {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}),
        (
            {"http_proxy": "http://p", "no_proxy": "a,localhost"},
            {"NO_PROXY": "a,localhost,127.0.0.1", "no_proxy": "a,localhost,127.0.0.1"},
        ),
        ({"ALL_PROXY": "http://p", "NO_PROXY": "*"}, {"NO_PROXY": "*", "no_proxy": "*"}),
    ],
)
def test_the_users_proxy_is_not_asked_for_ours(environment: dict[str, str], expected: dict[str, str]) -> None:
    assert beside._bypass(environment) == expected
