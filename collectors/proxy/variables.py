"""The environment variables in which clients look for their server, and what a run makes of them.

A variable that the user has set is replaced: its value is the server behind the proxy. One that nobody has set is
set only where that cannot change which server a program turns to: its default is the same for every client that
reads it, the key of that server is there, and nothing else is that a client would no longer agree with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tracekit.collectors.proxy.upstream import Upstreams

OLLAMA_PORT = 11434
_WILDCARDS = ("0.0.0.0", "[::]")


@dataclass(frozen=True)
class Variable:
    """One row of the table.

    Attributes
    ----------
    name : the variable.
    clients : who reads it.
    default : where they all turn to without it; None if that is unknown, differs, or is a host of the user's.
    keys : one of these must be there before it is set to that.
    programs : commands that need none of them.
    unless : nor is it set if a variable that begins with one of these is there.
    restores : what undoes, where its server is the default, that clients turn something off behind a proxy.
    """

    name: str
    clients: str
    default: str | None = None
    keys: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    restores: tuple[tuple[str, str], ...] = ()


_OPENAI = "https://api.openai.com/v1"
# Node's AzureOpenAI refuses an endpoint beside OPENAI_BASE_URL; and clients prefer one of the two, each another
_OPENAI_UNLESS = ("AZURE_OPENAI_", "OPENAI_API_VERSION", "OPENAI_BASE_URL", "OPENAI_API_BASE")
VARIABLES = (
    Variable(
        "OPENAI_BASE_URL",
        "openai (Python, Node), AI SDK, Agents SDK, LangChain, LiteLLM, pydantic-ai, CrewAI, Aider",
        _OPENAI, ("OPENAI_API_KEY",), unless=_OPENAI_UNLESS,
    ),
    Variable("OPENAI_API_BASE", "LangChain, LlamaIndex, LiteLLM, CrewAI, Aider", _OPENAI, ("OPENAI_API_KEY",),
             unless=_OPENAI_UNLESS),
    Variable("AZURE_OPENAI_ENDPOINT", "openai's AzureOpenAI (Python, Node), LangChain, pydantic-ai"),
    Variable("AZURE_API_BASE", "LiteLLM, CrewAI"),
    Variable("ANTHROPIC_BASE_URL", "anthropic (Python, Node), Claude Code, LangChain, LiteLLM, AI SDK",
             "https://api.anthropic.com", ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"), programs=("claude",),
             unless=("ANTHROPIC_API_URL", "ANTHROPIC_API_BASE", "CLAUDE_CODE_USE_"),
             restores=(("ENABLE_TOOL_SEARCH", "true"),)),
    Variable("ANTHROPIC_API_URL", "LangChain"),
    Variable("ANTHROPIC_API_BASE", "LiteLLM"),
    Variable("OLLAMA_HOST", "ollama (Python, Node, Go)"),
    Variable("OLLAMA_BASE_URL", "pydantic-ai"),
    Variable("OLLAMA_API_BASE", "LiteLLM"),
    Variable("VLLM_BASE_URL", "pydantic-ai"),
    Variable("HOSTED_VLLM_API_BASE", "LiteLLM"),
    Variable("LM_STUDIO_API_BASE", "LiteLLM"),
    Variable("LLAMAFILE_API_BASE", "LiteLLM"),
    Variable("LITELLM_PROXY_API_BASE", "LiteLLM"),
    Variable("GROQ_BASE_URL", "groq (Python, Node), pydantic-ai"),
    Variable("GROQ_API_BASE", "LangChain, LiteLLM"),
    Variable("MISTRAL_BASE_URL", "LangChain"),
    Variable("MISTRAL_API_BASE", "LiteLLM"),
    Variable("DEEPSEEK_API_BASE", "LangChain, LiteLLM"),
    Variable("XAI_API_BASE", "LangChain, LiteLLM"),
    Variable("TOGETHER_BASE_URL", "together"),
    Variable("TOGETHER_AI_API_BASE", "LiteLLM"),
    Variable("OPENROUTER_API_BASE", "LiteLLM"),
    Variable("FIREWORKS_API_BASE", "LiteLLM"),
    Variable("CEREBRAS_API_BASE", "LiteLLM"),
    Variable("MOONSHOT_API_BASE", "LiteLLM"),
    Variable("MOONSHOTAI_BASE_URL", "pydantic-ai"),
    Variable("NVIDIA_NIM_API_BASE", "LiteLLM"),
    Variable("SAMBANOVA_BASE_URL", "pydantic-ai"),
    Variable("HUGGINGFACE_API_BASE", "LiteLLM"),
)  # fmt: skip
"""The names as the newest releases in 2026-11 read them, from their sources."""


@dataclass(frozen=True)
class Addresses:
    """What the agent's environment gets.

    Attributes
    ----------
    replaced : variables of the user's, name -> address at the proxy.
    added : variables that the environment does not have, likewise.
    restored : variables that keep clients from behaving otherwise than without the proxy.
    """

    replaced: dict[str, str]
    added: dict[str, str]
    restored: dict[str, str]

    @property
    def names(self) -> list[str]:
        """The base-URL variables that lead through the proxy."""
        return [*self.replaced, *self.added]


def addresses(
    environment: Mapping[str, str],
    beside: Mapping[str, str],
    program: str,
    upstreams: Upstreams,
    more: tuple[str, ...] = (),
) -> Addresses:
    """Where the run's variables lead; `upstreams` gets the servers behind them.

    Parameters
    ----------
    environment : the agent's.
    beside : what the .env files beside it say, which programs load where the environment is silent.
    program : the command's name.
    more : further variables of the user's that hold a base URL.
    """
    replaced: dict[str, str] = {}
    added: dict[str, str] = {}
    restored: dict[str, str] = {}
    said = {**beside, **environment}
    for variable in (*VARIABLES, *(Variable(name, "the user's own") for name in more)):
        url = _url(variable.name, said.get(variable.name, "")) or _default(variable, said, program)
        if url is None:
            continue
        try:
            address = upstreams.through(url)
        except ValueError:
            continue
        (replaced if variable.name in environment else added)[variable.name] = address
        if url.rstrip("/") == variable.default:
            restored.update((name, value) for name, value in variable.restores if name not in said)
    return Addresses(replaced, added, restored)


def _default(variable: Variable, said: Mapping[str, str], program: str) -> str | None:
    if variable.default is None or variable.name in said:
        return None
    if any(value and name.startswith(variable.unless) for name, value in said.items()):
        return None
    is_theirs = program in variable.programs or any(said.get(key) for key in variable.keys)
    return variable.default if is_theirs else None


def _url(name: str, value: str) -> str | None:
    value = value.strip()
    if name != "OLLAMA_HOST":
        return value if value.startswith(("http://", "https://")) else None
    return _ollama(value)


def _ollama(value: str) -> str | None:
    """An address as ollama reads it: scheme and port may be missing; the same variable is where a server listens."""
    if not value or any(wildcard in value for wildcard in _WILDCARDS):
        return None
    if "://" in value:
        return value
    place, slash, path = value.partition("/")
    has_port = place.rpartition(":")[2].isdigit() and (not place.startswith("[") or "]:" in place)
    host = place.rpartition(":")[0] if has_port else place
    port = place.rpartition(":")[2] if has_port else OLLAMA_PORT
    return f"http://{host or '127.0.0.1'}:{port}{slash}{path}"
