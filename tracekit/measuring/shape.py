"""What is built of a model to measure it: blocks of the right sizes, and its head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from tracekit.analyzers.catalog.model import Model
from tracekit.errors import MeasuringRefused
from tracekit.measuring.part import Part, cut, experts_of, kv_heads_of

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
    """Sizes of a model's layers and head, on GPU `rank` of `tp`.

    `experts` are the whole model's, whose router is whole on each GPU; `own_experts` are those whose weights are here.
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
    rank: int = 0

    @classmethod
    def of(cls, model: Model, tp: int = 1) -> Self:
        """The model's, or its first GPU's part.

        Raises MeasuringRefused for layers that are not built here, or that `tp` does not divide.
        """
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

    def part(self, tp: int, rank: int) -> Part:
        """Which rows of this whole model GPU `rank` of `tp` holds."""
        return Part(
            cut(self.heads, tp, rank),
            kv_heads_of(self.kv_heads, tp, rank),
            cut(self.feed_forward, tp, rank, ALIGNED if self.feed_forward >= tp * WIDTH_STEP else 1),
            experts_of(self.experts, tp, rank),
            cut(self.vocabulary, tp, rank),
        )

    def shard(self, tp: int, rank: int = 0) -> Self:
        """One GPU's part of this whole model."""
        part = self.part(tp, rank)
        return replace(
            self,
            heads=len(part.heads),
            kv_heads=len(part.kv_heads),
            feed_forward=len(part.feed_forward),
            vocabulary=len(part.vocabulary),
            tp=tp,
            rank=rank,
        )

    @property
    def own_experts(self) -> range:
        """Whose weights are here."""
        return experts_of(self.experts, self.tp, self.rank)

    @property
    def first_word(self) -> int:
        """Of the vocabulary's part that is here."""
        return self.rank * self.vocabulary

    def to_json(self) -> dict[str, Any]:
        """A record, for a process that runs this part."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """What `to_json` told. Raises TypeError for a record that lacks something."""
        kinds = tuple(BlockKind(**kind) for kind in record["kinds"])
        return cls(**{**record, "kinds": kinds})

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
        experts = len(self.own_experts) * self.expert_parameters + self.experts * self.hidden
        return self.value_bytes * (self.token_parameters + (experts if kind.has_experts else 0))

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
    if 0 < model.experts < tp:
        raise MeasuringRefused.unbuilt(model.name, f"{model.experts} experts on {tp} GPUs")


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
