"""What is built of a model to measure it: blocks of the right sizes, and its head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from tracekit.analyzers.catalog.model import Model
from tracekit.errors import MeasuringRefused

DTYPE_BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}
WIDTH_STEP = 32
"""Feed-forward widths are told from parameter counts, of which norms and biases are a little: rounded down to this."""
ALIGNED = 8
FEED_FORWARD_MATRICES = 3


@dataclass(frozen=True)
class BlockKind:
    """Layers that are alike: `window` tokens that they see (0: all), whether they have experts, how many they are."""

    name: str
    window: int
    has_experts: bool
    layers: float


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a model's layers and head, on one of `tp` GPUs.

    `feed_forward` is the mean over layers, shared experts in it; where a model has no gate, the two matrices that it
    has are built as three of the same size together.
    """

    name: str
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    feed_forward: int
    experts: int
    experts_per_token: int
    expert_width: int
    vocabulary: int
    dtype: str
    tp: int
    kinds: tuple[BlockKind, ...]

    @classmethod
    def of(cls, model: Model, tp: int = 1) -> Self:
        """The model's. Raises MeasuringRefused for layers that are not built here, or that `tp` does not divide."""
        _check(model, tp)
        attention = model.hidden_size * model.head_dim * (2 * model.heads + 2 * model.kv_heads)
        embeddings = model.embedding_parameters * (1 if model.tied_embeddings else 2)
        routers = model.moe_layers * model.experts * model.hidden_size
        rest = model.parameters - model.encoder_parameters - embeddings - model.routed_parameters - routers
        width = (rest / model.layers - attention) / (FEED_FORWARD_MATRICES * model.hidden_size)
        whole = cls(
            name=model.name,
            hidden=model.hidden_size,
            heads=model.heads,
            kv_heads=model.kv_heads,
            head_dim=model.head_dim,
            feed_forward=max(0, int(width) // WIDTH_STEP * WIDTH_STEP),
            experts=model.experts,
            experts_per_token=model.experts_per_token,
            expert_width=_aligned(model.expert_parameters // (FEED_FORWARD_MATRICES * model.hidden_size)),
            vocabulary=model.vocabulary,
            dtype=model.precision,
            tp=1,
            kinds=_kinds(model),
        )
        return whole if tp == 1 else whole.shard(tp)

    def shard(self, tp: int) -> Self:
        """One GPU's part: heads, widths and vocabulary divided."""
        return replace(
            self,
            heads=self.heads // tp,
            kv_heads=max(1, self.kv_heads // tp),
            feed_forward=-(-self.feed_forward // tp),
            expert_width=-(-self.expert_width // tp),
            vocabulary=-(-self.vocabulary // tp),
            tp=tp,
        )

    def kind(self, name: str) -> BlockKind:
        """The kind of that name."""
        return next(kind for kind in self.kinds if kind.name == name)

    @property
    def value_bytes(self) -> int:
        return DTYPE_BYTES[self.dtype]

    @property
    def token_parameters(self) -> int:
        """Parameters of a layer without experts, that every token is multiplied with."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return attention + FEED_FORWARD_MATRICES * self.hidden * self.feed_forward

    @property
    def expert_parameters(self) -> int:
        """Of one expert in one layer."""
        return FEED_FORWARD_MATRICES * self.hidden * self.expert_width

    def block_bytes(self, kind: BlockKind) -> int:
        """Weights of one layer."""
        experts = self.experts * (self.expert_parameters + self.hidden) if kind.has_experts else 0
        return self.value_bytes * (self.token_parameters + experts)

    @property
    def kv_token_bytes(self) -> int:
        """Keys and values of one token in one layer."""
        return self.value_bytes * 2 * self.kv_heads * self.head_dim

    @property
    def head_bytes(self) -> int:
        """Embedding and output matrix."""
        return self.value_bytes * 2 * self.vocabulary * self.hidden


def _aligned(width: int) -> int:
    """Whole rows of sixteen bytes: biases are in the count, and matrix kernels refuse odd rows."""
    return width if width < WIDTH_STEP else width // ALIGNED * ALIGNED


def _check(model: Model, tp: int) -> None:
    if model.latent_values:
        raise MeasuringRefused.unbuilt(model.name, "latent attention")
    if model.state_bytes_per_sequence or model.attention_layers != model.layers:
        raise MeasuringRefused.unbuilt(model.name, "recurrent layers, or layers without attention")
    if model.precision not in DTYPE_BYTES:
        raise MeasuringRefused.precision(model.name, model.precision)
    if model.heads % model.kv_heads or model.heads % tp or (model.kv_heads % tp and tp % model.kv_heads):
        raise MeasuringRefused.unbuilt(
            model.name, f"{model.heads} heads on {model.kv_heads} KV heads and {tp} GPUs"
        )


def _kinds(model: Model) -> tuple[BlockKind, ...]:
    """Full and windowed attention with and without experts, as if spread independently over the layers."""
    attention = {
        "full": (0, model.layers - model.window_layers),
        "window": (model.window_tokens, model.window_layers),
    }
    feed_forward = {"experts": model.moe_layers, "dense": model.layers - model.moe_layers}
    return tuple(
        BlockKind(f"{seen}-{work}", window, work == "experts", count * times / model.layers)
        for seen, (window, count) in attention.items()
        for work, times in feed_forward.items()
        if count and times
    )
