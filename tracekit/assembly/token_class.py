"""The classes of a prompt's bytes: instruction, few-shot, user, LLM history, tool history.

By role, and by which assistant messages this recording has seen being generated: an unseen one is a few-shot
example, and so is the user or tool message before it. Source of the classes: arXiv 2506.04301, Fig. 8.
"""

from __future__ import annotations

from tracekit.assembly.call import Call
from tracekit.assembly.lineage import Lineage

CLASSES = ("instruction", "few_shot", "user", "llm_history", "tool_history")
_INSTRUCTION_ROLES = ("tools", "system", "developer", "instructions")


def class_bytes(call: Call, lineage: Lineage) -> dict[str, int]:
    """Bytes of the canonical prompt in each class; they sum to the prompt's bytes."""
    sizes = dict.fromkeys(CLASSES, 0)
    example_ahead = False
    for index in range(len(call.parts) - 1, -1, -1):
        name = _class_of(call, index, lineage)
        if name == "few_shot":
            example_ahead = True
        elif name == "llm_history":
            example_ahead = False
        elif name in ("user", "tool_history") and example_ahead:
            name = "few_shot"
        sizes[name] += call.parts[index].size_bytes
    return sizes


def _class_of(call: Call, index: int, lineage: Lineage) -> str:
    part = call.parts[index]
    if part.role in _INSTRUCTION_ROLES:
        return "instruction"
    if part.role == "reasoning":
        return "llm_history"
    if part.role == "assistant":
        says_nothing = part.content_hash is None and not part.tool_call_ids
        return "llm_history" if says_nothing or lineage.generated(call, index) else "few_shot"
    if part.role in ("tool", "function") or part.tool_result_id:
        return "tool_history"
    return "user"
