"""A decoder's parts, and how many parameters they have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attention:
    """Layers that keep keys and values, all alike.

    latent_rank > 0 is multi-head latent attention: head_dim is then that of queries (rope_dim of them rotated), and
    one latent of latent_rank + rope_dim values is kept. query_rank > 0 projects queries through that rank. gated: the
    query projection also brings a gate of the output.
    """

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    window_layers: int = 0
    window_tokens: int = 0
    latent_rank: int = 0
    query_rank: int = 0
    rope_dim: int = 0
    value_dim: int = 0
    gated: bool = False
    input_bias: bool = False
    output_bias: bool = False
    normed_heads: bool = False

    def parameters(self, hidden: int) -> int:
        """Of one layer."""
        return self._latent(hidden) if self.latent_rank else self._grouped(hidden)

    def _grouped(self, hidden: int) -> int:
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        projected = queries * (2 if self.gated else 1) + 2 * keys
        weights = hidden * projected + queries * hidden
        biases = projected * self.input_bias + hidden * self.output_bias
        return weights + biases + 2 * self.head_dim * self.normed_heads

    def _latent(self, hidden: int) -> int:
        queries = self.heads * self.head_dim
        if self.query_rank:
            into = hidden * self.query_rank + self.query_rank * queries + self.query_rank
        else:
            into = hidden * queries
        down = hidden * (self.latent_rank + self.rope_dim) + self.latent_rank
        up = self.latent_rank * self.heads * (self.head_dim - self.rope_dim + self.value_dim)
        return into + down + up + self.heads * self.value_dim * hidden


@dataclass(frozen=True)
class FeedForward:
    """Dense feed-forward layers of one size; gated ones have three matrices, the others two."""

    layers: int
    size: int
    gated: bool = True
    bias: bool = False

    def parameters(self, hidden: int) -> int:
        """Of one layer."""
        up = 2 if self.gated else 1
        return (up + 1) * hidden * self.size + (up * self.size + hidden) * self.bias


@dataclass(frozen=True)
class Experts:
    """Layers of routed experts, with a shared feed-forward beside them; latent_size: what routed experts work on."""

    layers: int
    count: int
    per_token: int
    size: int
    shared_size: int = 0
    gated: bool = True
    bias: bool = False
    shared_gate: bool = False
    latent_size: int = 0

    def of_one_expert(self, hidden: int) -> int:
        """One routed expert of one layer."""
        return FeedForward(1, self.size, self.gated, self.bias).parameters(self.latent_size or hidden)

    def parameters(self, hidden: int) -> int:
        """Of one layer: experts, router, shared feed-forward, and the way into the latent and back."""
        router = hidden * self.count + self.count * self.bias
        shared = FeedForward(1, self.shared_size, self.gated).parameters(hidden) if self.shared_size else 0
        way = 2 * hidden * self.latent_size
        return self.count * self.of_one_expert(hidden) + router + shared + hidden * self.shared_gate + way


@dataclass(frozen=True)
class Recurrence:
    """Layers with a state of fixed size in the place of keys and values: parameters and bytes of one layer."""

    layers: int
    parameters: int
    state_bytes: int


@dataclass(frozen=True)
class Architecture:
    """A decoder: `layers` as published, `norms` and learned `positions` are vectors of the hidden size."""

    layers: int
    hidden_size: int
    vocabulary: int
    tied_embeddings: bool
    max_model_len: int
    attention: Attention
    feed_forward: tuple[FeedForward, ...] = ()
    experts: Experts | None = None
    recurrence: Recurrence | None = None
    norms: int = 0
    positions: int = 0

    @property
    def parameters(self) -> int:
        """All of them."""
        hidden = self.hidden_size
        total = self.vocabulary * hidden * (1 if self.tied_embeddings else 2)
        total += (self.positions + self.norms) * hidden
        total += self.attention.layers * self.attention.parameters(hidden)
        total += sum(part.layers * part.parameters(hidden) for part in self.feed_forward)
        if self.experts is not None:
            total += self.experts.layers * self.experts.parameters(hidden)
        if self.recurrence is not None:
            total += self.recurrence.layers * self.recurrence.parameters
        return total
