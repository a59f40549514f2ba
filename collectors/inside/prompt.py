"""A prompt's canonical bytes, hashed part by part; what an earlier prompt began with as well is not hashed again.

An agent sends its whole conversation again at every step. Hashing all of it each time would cost milliseconds
before every long request, so the last few prompts are remembered and compared, which costs microseconds.
"""

from __future__ import annotations

from itertools import accumulate

from .identity import Hashing, PrefixHash
from .json_text import encoder, quoted, spelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from hashlib import blake2b
    from typing import Any, NamedTuple

    class Part(NamedTuple):
        """One piece of the prompt in template order."""

        role: str
        value: Any
        text: str
        tool_call_ids: list[str]
        tool_result_id: str | None

    Split = Callable[[Any], Iterable[Part]]
else:
    from collections import namedtuple

    Part = namedtuple("Part", "role value text tool_call_ids tool_result_id")

REMEMBERED_PROMPTS = 4
REMEMBERED_BYTES = 32 * 1024 * 1024  # of all of them together

_canonical = encoder(sort_keys=True, ensure_ascii=False)


class Prompt:
    """The items of a request, such as messages, and what is known behind each of them.

    Attributes
    ----------
    facts : for every item the JSON of its parts.
    prefix : the running hash behind the last item.
    """

    __slots__ = ("_items", "_marks", "_split", "facts", "hashing", "prefix")

    def __init__(self, split: Split, hashing: Hashing) -> None:
        self.hashing = hashing
        self.facts: list[str] = []
        self.prefix = PrefixHash(hashing)
        self._split = split
        self._items: list[Any] = []
        self._marks: list[tuple[blake2b, int]] = []

    def shared(self, items: list[Any], split: Split, hashing: Hashing) -> int:
        """How many of these items this prompt begins with too."""
        if split is not self._split or hashing is not self.hashing:
            return 0
        size = len(self._items)
        if self._items == (items if len(items) == size else items[:size]):
            return size
        count = 0
        for mine, theirs in zip(self._items, items):
            if mine != theirs:
                break
            count += 1
        return count

    def followed(self, items: list[Any], shared: int) -> Prompt:
        """The prompt of these items, of which this one has the first few."""
        longer = Prompt(self._split, self.hashing)
        if shared:
            longer.prefix = self.prefix.resumed(self._marks[shared - 1])
        longer.facts, longer._marks = self.facts[:shared], self._marks[:shared]
        longer._items = self._items[:shared]
        for item in items[shared:]:
            longer._add(item)
        return longer

    def _add(self, item: Any) -> None:
        parts = (item,) if type(item) is Part else self._split(item)
        self.facts.append(",".join([_facts(part, self.prefix, self.hashing) for part in parts]))
        self._items.append(item)
        self._marks.append(self.prefix.mark())


class Memory:
    """The last few prompts of this process."""

    def __init__(self) -> None:
        self._prompts: tuple[Prompt, ...] = ()

    def prompt(self, items: list[Any], split: Split, hashing: Hashing) -> Prompt:
        """The prompt that these items make; `split` tells the parts of those that are none themselves."""
        nearest, shared = None, 0
        for known in self._prompts:
            count = known.shared(items, split, hashing)
            if count > shared:
                nearest, shared = known, count
        if nearest is None:
            nearest = Prompt(split, hashing)
        is_whole = shared == len(nearest.facts)
        prompt = nearest if is_whole and shared == len(items) else nearest.followed(items, shared)
        if self._prompts and prompt is self._prompts[0]:
            return prompt
        others = [other for other in self._prompts if other is not nearest or not is_whole]
        self._prompts = _newest((prompt, *others[: REMEMBERED_PROMPTS - 1]))
        return prompt


def _newest(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """As many of the first prompts as may be kept in the agent's memory."""
    ends = accumulate([prompt.prefix.length for prompt in prompts])
    return tuple([prompt for prompt, end in zip(prompts, ends) if end <= REMEMBERED_BYTES])


def _facts(part: Part, prefix: PrefixHash, hashing: Hashing) -> str:
    data = _canonical(part.value).encode("utf-8", "surrogatepass")
    return (
        f'{{"role":{quoted(part.role)},"bytes":{len(data)},"prefix_hash":"{prefix.add(data)}",'
        f'"content_hash":{quoted(hashing.of_text(part.text))},"tool_call_ids":{spelled(part.tool_call_ids)},'
        f'"tool_result_id":{quoted(part.tool_result_id)}}}'
    )
