"""One model's architecture, and the sizes that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, Self

from tracekit.analyzers.catalog.precision import BYTES_PER_VALUE, bytes_per_value
from tracekit.errors import CatalogInvalid, UnknownName

# Embeddings, norms and routers keep sixteen bits in quantized checkpoints.
UNQUANTIZED_BYTES = 2.0


@dataclass(frozen=True)
class Model:
    """One model as published: its text decoder, and what else its weights hold.

    parameters : all of them, encoders (vision, audio) and embeddings included
    attention_layers : layers that keep keys and values; the others are Mamba, linear attention or no mixer
    window_layers, window_tokens : of the attention layers, how many see only the last window_tokens
    latent_values : latent attention (MLA): values kept per token and layer, whole on every tensor-parallel GPU;
        0 where keys and values are kept as such
    state_bytes_per_sequence : Mamba or linear-attention state of one sequence, all layers; 0 without
    experts, experts_per_token, moe_layers : routed experts of a layer, how many of them one token visits, and in how
        many layers; 0 without
    expert_parameters : of one routed expert in one layer
    encoder_parameters : towers that a text token never passes (vision, audio, projectors); part of `parameters`
    precision : of the weights; kv_precision: of the cache
    kept_parameters : parameters beside embeddings and encoders that quantized weights keep at sixteen bits
    """

    name: str
    source: str
    date: str
    parameters: int
    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied_embeddings: bool
    max_model_len: int
    attention_layers: int
    window_layers: int = 0
    window_tokens: int = 0
    latent_values: int = 0
    state_bytes_per_sequence: int = 0
    experts: int = 0
    experts_per_token: int = 0
    moe_layers: int = 0
    expert_parameters: int = 0
    encoder_parameters: int = 0
    kept_parameters: int = 0
    precision: str = "bf16"
    kv_precision: str = "bf16"
    aliases: tuple[str, ...] = ()

    @classmethod
    def from_row(cls, name: str, row: Mapping[str, Any]) -> Self:
        """The model of a catalog row. Raises CatalogInvalid where a needed value is missing."""
        given = {key: row[key] for key in MODEL_FIELDS if key in row}
        given.setdefault("attention_layers", row.get("layers"))
        for key in NEEDED_FIELDS:
            if given.get(key) is None:
                raise CatalogInvalid.row_lacks("model", name, key)
        for key, value in given.items():
            if key not in WORD_FIELDS and (type(value) is not int or value < 0):
                raise CatalogInvalid.not_a_number("model", name, key, value)
        spellings = (*row.get("aliases", ()), *row.get("precisions", ()))
        return cls(name=name, **given | {"aliases": spellings})

    def at(self, precision: str, kept_parameters: int = 0) -> Model:
        """The same model with weights of another precision, named NAME@PRECISION. Raises UnknownName."""
        if precision not in BYTES_PER_VALUE:
            raise UnknownName.among("precision", precision, BYTES_PER_VALUE)
        if precision == self.precision:
            return self
        name = f"{self.name.partition('@')[0]}@{precision}"
        return replace(self, name=name, precision=precision, kept_parameters=kept_parameters)

    @property
    def kind(self) -> str:
        """Moe if it has routed experts, else dense."""
        return "moe" if self.experts else "dense"

    @property
    def embedding_parameters(self) -> int:
        """Of one table, vocabulary x hidden size."""
        return self.vocabulary * self.hidden_size

    @property
    def routed_parameters(self) -> int:
        """All routed experts of all layers."""
        return self.moe_layers * self.experts * self.expert_parameters

    @property
    def active_parameters(self) -> int:
        """Parameters but the routed experts that a token does not visit."""
        unused = self.moe_layers * (self.experts - self.experts_per_token) * self.expert_parameters
        return self.parameters - unused

    @property
    def streamed_parameters(self) -> int:
        """Parameters of every step if all experts are visited: all but encoders and an input embedding of its own."""
        embedding = 0 if self.tied_embeddings else self.embedding_parameters
        return self.parameters - embedding - self.encoder_parameters

    @property
    def multiplied_parameters(self) -> int:
        """Parameters that one text token is multiplied with: two FLOPs each."""
        return self.streamed_parameters - (self.parameters - self.active_parameters)

    @property
    def weight_bytes(self) -> int:
        """Of all weights; embeddings and encoders stay at sixteen bits when the rest is quantized."""
        return round(self._bytes(self.parameters, self.encoder_parameters + self._embeddings()))

    @property
    def expert_bytes(self) -> float:
        """Of one routed expert in one layer."""
        return self.expert_parameters * bytes_per_value(self.precision)

    @property
    def always_streamed_bytes(self) -> float:
        """Weights that every step reads whatever its tokens are: streamed parameters but routed experts."""
        lm_head = self.embedding_parameters
        return self._bytes(self.streamed_parameters, lm_head) - self.routed_parameters * bytes_per_value(
            self.precision
        )

    @property
    def dtype_bytes(self) -> float:
        """Bytes of one weight, the mean over all."""
        return self.weight_bytes / self.parameters

    @property
    def kv_values_per_token_and_layer(self) -> int:
        """Cached values of one token in one attention layer."""
        return self.latent_values or 2 * self.kv_heads * self.head_dim

    @property
    def kv_bytes_per_token(self) -> float:
        """Bytes one more token takes while every window still sees it: all attention layers."""
        return self.attention_layers * self.kv_values_per_token_and_layer * bytes_per_value(self.kv_precision)

    def kv_bytes(self, context_tokens: int) -> float:
        """Bytes that a context of so many tokens keeps: window layers keep no more than their window."""
        per_layer = self.kv_values_per_token_and_layer * bytes_per_value(self.kv_precision)
        everywhere = (self.attention_layers - self.window_layers) * context_tokens
        windowed = self.window_layers * min(context_tokens, self.window_tokens)
        return per_layer * (everywhere + windowed)

    def _embeddings(self) -> int:
        return self.embedding_parameters * (1 if self.tied_embeddings else 2)

    def _bytes(self, parameters: int, unquantized: int) -> float:
        """Of so many parameters, of which so many are never quantized, and what this checkpoint keeps."""
        each = bytes_per_value(self.precision)
        if each >= UNQUANTIZED_BYTES:
            return parameters * each
        quantized = parameters - unquantized - self.kept_parameters
        return quantized * each + (parameters - quantized) * UNQUANTIZED_BYTES


MODEL_FIELDS = tuple(field.name for field in fields(Model) if field.name not in ("name", "aliases"))
WORD_FIELDS = ("source", "date", "precision", "kv_precision", "tied_embeddings")
NEEDED_FIELDS = tuple(
    field.name for field in fields(Model) if field.name != "name" and field.default is MISSING
)
# `precisions` leads spellings to a precision; `published` and `matrices` are what a row is checked with.
MODEL_KEYS = (*MODEL_FIELDS, "aliases", "precisions", "published", "published_active", "matrices")
