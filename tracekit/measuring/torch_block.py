"""Transformer blocks in PyTorch, as engines run them: one token of each sequence, or one chunk of a prompt.

Weights and states are random. Attention, RMS norms and matrices are PyTorch's kernels; rotary embeddings and gates
are a few small ones where engines have one. Tokens go to random experts, each by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tracekit.measuring.device import PointFailed
from tracekit.measuring.point import Point
from tracekit.measuring.shape import BlockKind, ModelShape

EPSILON = 1e-5
ROPE_BASE = 500_000.0
Reduce = Callable[[Any], Any]


class Block:
    """One layer's weights, on a device.

    Parameters
    ----------
    torch : the module.
    place : keywords `device` and `dtype` of its tensors.
    reduce : sums a tensor over the GPUs that share the layer; returns it.
    """

    def __init__(
        self, torch: Any, shape: ModelShape, kind: BlockKind, place: dict[str, Any], reduce: Reduce
    ) -> None:
        self._torch = torch
        self._shape = shape
        self._reduce = reduce
        self._has_experts = kind.has_experts
        self._own = shape.own_experts
        self._grouped = grouped_matrices(torch) if kind.has_experts else None

        def weight(*sizes: int) -> Any:
            return torch.empty(sizes, **place).normal_(0.0, 1.0 / math.sqrt(sizes[-1]))

        width = shape.head_dim
        self._norms = [torch.ones(shape.hidden, **place) for _ in range(2)]
        self._qkv = weight((shape.heads + 2 * shape.kv_heads) * width, shape.hidden)
        self._out = weight(shape.hidden, shape.heads * width)
        self._gate_up = weight(2 * shape.feed_forward, shape.hidden) if shape.feed_forward else None
        self._down = weight(shape.hidden, shape.feed_forward) if shape.feed_forward else None
        if kind.has_experts:
            self._router = weight(shape.experts, shape.hidden)
            self._expert_in = weight(len(self._own), shape.hidden, 2 * shape.expert_width)
            self._expert_out = weight(len(self._own), shape.expert_width, shape.hidden)

    def __call__(self, hidden: Any, keys: Any, values: Any, state: StepState) -> Any:
        """The next layer's input, (tokens, hidden)."""
        hidden = hidden + self._reduce(self._attention(self._norm(hidden, 0), keys, values, state))
        normed = self._norm(hidden, 1)
        parts = []
        if self._gate_up is not None and self._down is not None:
            parts.append(self._gated(normed @ self._gate_up.t()) @ self._down.t())
        if self._has_experts:
            parts.append(self._experts(normed, state))
        return hidden + self._reduce(sum(parts[1:], parts[0]))

    def _norm(self, hidden: Any, which: int) -> Any:
        functional = self._torch.nn.functional
        return functional.rms_norm(hidden, (self._shape.hidden,), self._norms[which], EPSILON)

    def _gated(self, both: Any) -> Any:
        gate, up = both.chunk(2, dim=-1)
        return self._torch.nn.functional.silu(gate) * up

    def _attention(self, hidden: Any, keys: Any, values: Any, state: StepState) -> Any:
        shape = self._shape
        tokens = hidden.shape[0]
        mixed = (hidden @ self._qkv.t()).view(tokens, shape.heads + 2 * shape.kv_heads, shape.head_dim)
        rotated = mixed[:, : shape.heads + shape.kv_heads]
        rotated = self._torch.addcmul(
            rotated * state.cosine, rotated.roll(shape.head_dim // 2, -1), state.sine
        )
        query, key = rotated[:, : shape.heads], rotated[:, shape.heads :]
        value = mixed[:, shape.heads + shape.kv_heads :]
        attend = self._decode if state.point.phase == "decode" else self._prefill
        return attend(query, key, value, keys, values, state) @ self._out.t()

    def _decode(self, query: Any, key: Any, value: Any, keys: Any, values: Any, state: StepState) -> Any:
        """Heads that share keys are queries of one attention, so keys and values are read once."""
        shape, last = self._shape, state.context - 1
        keys[:, :, last] = key
        values[:, :, last] = value
        query = query.reshape(-1, shape.kv_heads, shape.heads // shape.kv_heads, shape.head_dim)
        seen = self._torch.nn.functional.scaled_dot_product_attention(query, keys, values)
        return seen.reshape(-1, shape.heads * shape.head_dim)

    def _prefill(self, query: Any, key: Any, value: Any, keys: Any, values: Any, state: StepState) -> Any:
        shape = self._shape
        keys[0, :, state.context :] = key.transpose(0, 1)
        values[0, :, state.context :] = value.transpose(0, 1)
        query = query.transpose(0, 1)[None]
        more = {"enable_gqa": True} if shape.heads != shape.kv_heads else {}
        functional = self._torch.nn.functional
        if state.mask is None:
            seen = functional.scaled_dot_product_attention(query, keys, values, is_causal=True, **more)
        else:
            seen = functional.scaled_dot_product_attention(query, keys, values, attn_mask=state.mask, **more)
        return seen[0].transpose(0, 1).reshape(-1, shape.heads * shape.head_dim)

    def _experts(self, hidden: Any, state: StepState) -> Any:
        """Tokens sorted by expert, two matrix products a group, and back; the router runs, but chance decides.

        Experts of this GPU come first. Rows of the others' are carried along, as CUDA graphs have no shapes that depend
        on chance, but no product reads them, and nothing is kept of them.
        """
        torch, chosen, own = self._torch, self._shape.experts_per_token, self._own
        logits = torch.add(state.routing, hidden @ self._router.t(), alpha=0.0)
        scores, experts = torch.topk(torch.softmax(logits, dim=-1), chosen, dim=-1)
        experts, order = ((experts - own.start) % self._shape.experts).reshape(-1).sort()
        counts = torch.zeros(self._shape.experts, device=hidden.device, dtype=torch.int32)
        counts.scatter_add_(0, experts, state.ones)
        ends = counts.cumsum(0, dtype=torch.int32)[: len(own)]
        token = order // chosen
        assert self._grouped is not None
        inner = self._gated(self._grouped(hidden[token], self._expert_in, offs=ends))
        outer = self._grouped(inner, self._expert_out, offs=ends) * scores.reshape(-1)[order, None]
        if len(own) < self._shape.experts:
            outer = outer.masked_fill((experts >= len(own))[:, None], 0.0)
        return torch.zeros_like(hidden).index_add_(0, token, outer)


class StepState:
    """What all blocks of one step share: positions, what may be seen, where chance sends tokens."""

    def __init__(
        self, torch: Any, shape: ModelShape, kind: BlockKind, point: Point, place: dict[str, Any]
    ) -> None:
        self.point = point
        self.context = min(point.context, kind.window) if kind.window else point.context
        tokens, width = point.tokens, shape.head_dim
        first = self.context if point.phase == "prefill" else self.context - 1
        steps = torch.arange(tokens if point.phase == "prefill" else 1, device=place["device"]) + first
        frequency = ROPE_BASE ** (-torch.arange(0, width, 2, device=place["device"]) / width)
        angle = (steps[:, None] * frequency).repeat(1, 2)[:, None]
        sign = torch.ones(width, device=place["device"])
        sign[: width // 2] = -1.0
        self.cosine = angle.cos().to(place["dtype"])
        self.sine = (angle.sin() * sign).to(place["dtype"])
        self.mask = None
        if point.phase == "prefill" and self.context:
            from torch.nn.attention.bias import causal_lower_right  # noqa: PLC0415  (torch is optional)

            self.mask = causal_lower_right(tokens, self.context + tokens)
        if kind.has_experts:
            self.routing = torch.rand(tokens, shape.experts, device=place["device"]).to(place["dtype"])
            chosen = tokens * shape.experts_per_token
            self.ones = torch.ones(chosen, device=place["device"], dtype=torch.int32)

    @property
    def kept_tokens(self) -> int:
        """Of each sequence, the step's own among them."""
        return self.context + (self.point.chunk if self.point.phase == "prefill" else 0)


def grouped_matrices(torch: Any) -> Callable[..., Any]:
    """The product of groups of rows with a matrix each. Raises PointFailed where this PyTorch has none."""
    found = getattr(torch.nn.functional, "grouped_mm", None) or getattr(torch, "_grouped_mm", None)
    if found is None:
        raise PointFailed(f"PyTorch {torch.__version__} has no grouped_mm, which experts need")
    grouped: Callable[..., Any] = found
    return grouped
