"""What becomes of the blocks of calls that ended, until their session's next call."""

from __future__ import annotations

from dataclasses import dataclass

from tests.oracle import vllm_v1
from tests.oracle.session import Call, Session


@dataclass(eq=False)
class Pin:
    """Who holds the full blocks of a call that ended, so that nobody else gets them."""

    session: Session
    blocks: list[vllm_v1.Block]  # from the start of the text
    until_s: float


class KeptMemory(vllm_v1.BlockMemory):
    """Paged KV of which some is pinned, or of which nothing outlives those who hold it."""

    def __init__(self, blocks: int, caching: bool, evicts: bool) -> None:
        super().__init__(blocks, caching)
        self.evicts = evicts
        self.pins: list[Pin] = []  # oldest first

    def pin(self, request: vllm_v1.Request, call: Call, until_s: float) -> None:
        """Hold the full blocks of the request, which is about to release them."""
        blocks = self.tables[request][: self.remembered[request]]
        for block in blocks:
            block.holders += 1
        self.pins.append(Pin(call.step.session, blocks, until_s))

    def unpin(self, pin: Pin) -> None:
        """Give its blocks back, the deepest first."""
        self.pins.remove(pin)
        for block in reversed(pin.blocks):
            block.holders -= 1
            if block.holders == 0:
                self.blocks.append(block)

    def release(self, request: vllm_v1.Request) -> None:
        evicted = self.evicted
        super().release(request)
        if self.evicts:
            for block in self.blocks:
                self.forget(block)
            self.evicted = evicted  # nobody needed them
