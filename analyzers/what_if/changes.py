"""What is changed of the sessions themselves; what is changed of the fleet is another fleet."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Changes:
    """How the sessions of a workload are to differ from the recorded ones.

    speculative : probability that a tool that starts with the call that asks for it was guessed right; None: tools
        start when that call has ended
    asynchronous : calls do not wait for tools, but the session's last call waits for all
    tool_time : factor on the length of every tool
    parallel_calls, sequential_calls : calls that wait for no answer of each other start together; no two calls of
        a session run at once
    iterations : rounds of calls of a session, the last of which is the recorded last call; None: as recorded
    few_shot_tokens : tokens of examples more (or, below 0, fewer) in every prompt
    """

    speculative: float | None = None
    asynchronous: bool = False
    tool_time: float = 1.0
    parallel_calls: bool = False
    sequential_calls: bool = False
    iterations: int | None = None
    few_shot_tokens: int = 0


UNCHANGED = Changes()
