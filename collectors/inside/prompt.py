"""A prompt's canonical bytes, hashed part by part; a conversation that grew is hashed from where it grew.

An agent sends its whole conversation again at every step. Hashing all of it each time would cost milliseconds
before every long request, so the last few prompts are remembered and compared, which costs microseconds.
"""

from __future__ import annotations

from itertools import accumulate

from .identity import Hashing, PrefixHash
from .json_text import encoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NamedTuple

    class Part(NamedTuple):
        """One piece of the prompt in template order."""

        role: str
        value: Any
        text: str
        tool_call_ids: list[str]
        tool_result_id: str | None

else:
    from collections import namedtuple

    Part = namedtuple("Part", "role value text tool_call_ids tool_result_id")

REMEMBERED_PROMPTS = 4
REMEMBERED_BYTES = 32 * 1024 * 1024  # of all of them together

_canonical = encoder(sort_keys=True, ensure_ascii=False)


class Prompt:
    """Parts and their facts, with the running hash behind the last of them."""

    __slots__ = ("facts", "hashing", "prefix", "values")

    def __init__(self, hashing: Hashing) -> None:
        self.hashing = hashing
        self.values: list[Any] = []
        self.facts: list[dict[str, Any]] = []
        self.prefix = PrefixHash(hashing)

    def extended(self, parts: Sequence[Part]) -> Prompt:
        """The prompt with these parts behind its own."""
        longer = Prompt(self.hashing)
        longer.values = [*self.values, *(part.value for part in parts)]
        longer.prefix = self.prefix.copy()
        longer.facts = [*self.facts, *(_facts(part, longer.prefix, self.hashing) for part in parts)]
        return longer

    def begins(self, parts: Sequence[Part], hashing: Hashing) -> bool:
        """Whether these parts begin with this whole prompt."""
        count = len(self.values)
        if hashing is not self.hashing or count > len(parts):
            return False
        return all(value == part.value for value, part in zip(self.values, parts))


class Memory:
    """The last few prompts of this process."""

    def __init__(self) -> None:
        self._prompts: tuple[Prompt, ...] = ()

    def prompt(self, parts: Sequence[Part], hashing: Hashing) -> Prompt:
        """The prompt that these parts make."""
        known = [prompt for prompt in self._prompts if prompt.begins(parts, hashing)]
        longest = max(known, key=lambda prompt: len(prompt.values), default=None)
        start = Prompt(hashing) if longest is None else longest
        prompt = start.extended(parts[len(start.values) :])
        others = [other for other in self._prompts if other is not longest]
        self._prompts = _newest((prompt, *others[: REMEMBERED_PROMPTS - 1]))
        return prompt


def _newest(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """As many of the first prompts as may be kept in the agent's memory."""
    ends = accumulate(prompt.prefix.length for prompt in prompts)
    return tuple(prompt for prompt, end in zip(prompts, ends) if end <= REMEMBERED_BYTES)


def _facts(part: Part, prefix: PrefixHash, hashing: Hashing) -> dict[str, Any]:
    data = _canonical(part.value).encode("utf-8", "surrogatepass")
    return {
        "role": part.role,
        "bytes": len(data),
        "prefix_hash": prefix.add(data),
        "content_hash": hashing.of_text(part.text),
        "tool_call_ids": part.tool_call_ids,
        "tool_result_id": part.tool_result_id,
    }
