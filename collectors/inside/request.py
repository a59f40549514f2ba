"""The facts of an LLM request that are kept: sizes, keyed hashes, roles, ids and settings, never its text."""

from __future__ import annotations

from .identity import BLOCK_BYTES, Hashing
from .parts import SPLIT, items_of, leading_parts
from .prompt import Memory
from .settings import settings_text
from .stripping import stripped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .prompt import Prompt

memory = Memory()
"""The prompts of this process's requests, however they are read."""


def request_text(api: str, body: dict[str, Any], raw: bytes, path: str, hashing: Hashing) -> str:
    """The `request` of an attempt's start, as `tracekit.spool` lists it, in JSON."""
    body, media = stripped(body, raw, hashing)
    prompt = memory.prompt([*leading_parts(api, body), *items_of(api, body)], SPLIT[api], hashing)
    return facts_text(settings_text(api, body, path), prompt, media, len(raw), hashing.of_bytes(raw))


def facts_text(settings: str, prompt: Prompt, media: int, body_bytes: int, body_hash: str) -> str:
    """These facts in JSON.

    Parameters
    ----------
    settings : members of a JSON object.
    media : pictures, sound and files that are not in the prompt but by their hash.
    """
    return (
        f'{{{settings},"media_count":{media},"body_bytes":{body_bytes},"body_hash":"{body_hash}",'
        f'"prompt_bytes":{prompt.prefix.length},"block_bytes":{BLOCK_BYTES},'
        f'"block_hashes":"{prompt.prefix.blocks()}","parts":[{",".join(prompt.facts)}]}}'
    )
