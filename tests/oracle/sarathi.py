"""Sarathi as Vidur schedules it, written from its rules and not from the vLLM replica; memory is ample.

Each step: a token to every request whose prefill is done, then the rest of its prefill to what has begun it,
then requests of the queue, first come first served; prefills share the chunk with everything before them. The
end of a prefill counts one decode token as processed (microsoft/vidur, Request.on_batch_end).
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

from tracekit.analyzers.kernels.layout import StepCost


@dataclass(eq=False)
class Request:
    number: int
    arrived_s: float
    prefill: int
    decode: int
    processed: int = 0
    first_token_s: float = 0.0
    end_s: float = 0.0

    @property
    def is_prefill_done(self) -> bool:
        return self.processed >= self.prefill

    def end_batch(self, tokens: int, now: float) -> None:
        self.processed += tokens
        if self.processed == self.prefill:
            self.processed += 1
            self.first_token_s = now
        if self.processed == self.prefill + self.decode:
            self.end_s = now


@dataclass
class Sarathi:
    requests: list[Request]  # by arrival
    cost: StepCost
    chunk: int
    cap: int
    clock_s: float = 0.0
    queue: list[Request] = field(default_factory=list)
    running: list[Request] = field(default_factory=list)
    events: list[dict[str, object]] = field(default_factory=list)

    def run(self) -> None:
        coming = list(self.requests)
        while coming or self.queue or self.running:
            if not (self.queue or self.running):
                self.clock_s = max(self.clock_s, coming[0].arrived_s)
            while coming and coming[0].arrived_s <= self.clock_s:
                self.queue.append(coming.pop(0))
            self.do(self.next_batch())

    def next_batch(self) -> list[tuple[Request, int]]:
        batch = [(request, 1) for request in self.running if request.is_prefill_done]
        begun = [request for request in self.running if not request.is_prefill_done]
        left = self.chunk - len(batch)
        for request in begun:
            tokens = max(0, min(request.prefill - request.processed, left))
            left -= tokens
            batch += [(request, tokens)] if tokens else []
        while self.queue and len(self.running) < self.cap and left > 0:
            request = self.queue.pop(0)
            tokens = min(request.prefill, left)
            left -= tokens
            self.running.append(request)
            batch.append((request, tokens))
        return batch

    def do(self, batch: list[tuple[Request, int]]) -> None:
        length_s = sum(self.seconds(request, tokens) for request, tokens in batch) + self.cost.base_s
        arguments = {
            "batch_id": len(self.events),
            "request_ids": [request.number for request, _ in batch],
            "num_tokens": [tokens for _, tokens in batch],
        }
        self.events.append({"ts": self.clock_s * 1e6, "dur": length_s * 1e6, "args": arguments})
        self.clock_s += length_s
        for request, tokens in batch:
            request.end_batch(tokens, self.clock_s)
        self.running = [request for request in self.running if not request.end_s]

    def seconds(self, request: Request, tokens: int) -> float:
        """Return what its part adds to the step; a decode reads the KV of the token it computes as well."""
        if request.is_prefill_done:
            return self.cost.decode_s + self.cost.decode_context_s * request.processed
        attended = tokens * (request.processed + tokens / 2)
        return self.cost.prefill_token_s * tokens + self.cost.prefill_attention_s * attended


def write_run(folder: Path, sarathi: Sarathi) -> None:
    """Write what it did in Vidur's formats."""
    folder.mkdir()
    with gzip.open(folder / "vidur_batches_own.chrome_trace.json.gz", "wt") as log:
        json.dump({"traceEvents": sarathi.events}, log)
    lines = ["request_id,arrived_at,num_prefill_tokens,num_decode_tokens,ttft_s,tpot_s,e2e_s"]
    for request in sarathi.requests:
        first_s, e2e_s = request.first_token_s - request.arrived_s, request.end_s - request.arrived_s
        gap_s = (e2e_s - first_s) / (request.decode - 1) if request.decode > 1 else 0.0
        counts = f"{request.number},{request.arrived_s!r},{request.prefill},{request.decode}"
        lines.append(f"{counts},{first_s!r},{gap_s!r},{e2e_s!r}")
    (folder / "vidur_reference_own.csv").write_text("\n".join(lines) + "\n")
