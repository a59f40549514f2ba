"""A small Llama with random weights, as one GGUF file that llama.cpp loads.

The weights mean nothing: the demo's words come from a script, which the engine is made to follow token by
token. What they give is real work: embeddings, attention, a KV cache and a vocabulary of the usual kind.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracekit.demo.extra import optional
from tracekit.demo.labels import MODEL_ID
from tracekit.demo.template import CHAT_TEMPLATE
from tracekit.demo.vocabulary import CONTROL, Vocabulary, train

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Tensor = npt.NDArray[np.float16] | npt.NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """A Llama's sizes; `context` and `vocabulary` in tokens."""

    layers: int = 4
    hidden: int = 256
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 640
    vocabulary: int = 2048
    context: int = 16384

    @property
    def kv_hidden(self) -> int:
        """Width of one layer's keys (and of its values)."""
        return self.hidden * self.kv_heads // self.heads


DEFAULT_SHAPE: Final = Shape()


def write_weights(path: Path, text: str, shape: Shape = DEFAULT_SHAPE, seed: int = 20260) -> None:
    """Write the file at `path`, whole or not at all; the vocabulary is trained on `text`.

    The same arguments give the same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    os.close(handle)
    try:
        _write(Path(draft), train(text, shape.vocabulary), shape, seed)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _write(path: Path, vocabulary: Vocabulary, shape: Shape, seed: int) -> None:
    gguf = optional("gguf")
    writer = gguf.GGUFWriter(path, "llama")
    _add_architecture(writer, shape, len(vocabulary.tokens))
    _add_tokenizer(writer, vocabulary, gguf.TokenType)
    for name, tensor in tensors(shape, len(vocabulary.tokens), seed):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_architecture(writer: Any, shape: Shape, vocabulary: int) -> None:
    writer.add_name(MODEL_ID)
    writer.add_description("random weights, for tracekit's demo only")
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.hidden // shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocabulary)


def _add_tokenizer(writer: Any, vocabulary: Vocabulary, kinds: Any) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(
        [kinds.CONTROL if token in CONTROL else kinds.NORMAL for token in vocabulary.tokens]
    )
    writer.add_token_merges([f"{left} {right}" for left, right in vocabulary.merges])
    end_of_text, _, end_of_message = (vocabulary.identifier(token) for token in CONTROL)
    writer.add_bos_token_id(end_of_text)
    writer.add_eos_token_id(end_of_message)
    writer.add_pad_token_id(end_of_text)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def tensors(shape: Shape, vocabulary: int, seed: int) -> Iterator[tuple[str, Tensor]]:
    """Name and values of every tensor: matrices float16 (output x input), norms float32 ones."""
    import numpy as np  # noqa: PLC0415

    draw = np.random.Generator(np.random.PCG64(seed))

    def matrix(rows: int, columns: int) -> Tensor:
        values: Tensor = draw.standard_normal((rows, columns), dtype=np.float32) * np.float32(columns**-0.5)
        return values.astype(np.float16)

    ones = np.ones(shape.hidden, dtype=np.float32)
    yield "token_embd.weight", matrix(vocabulary, shape.hidden)
    for layer in range(shape.layers):
        for name, rows, columns in _layer_matrices(shape):
            yield f"blk.{layer}.{name}.weight", matrix(rows, columns)
        yield f"blk.{layer}.attn_norm.weight", ones
        yield f"blk.{layer}.ffn_norm.weight", ones
    yield "output_norm.weight", ones
    yield "output.weight", matrix(vocabulary, shape.hidden)


def _layer_matrices(shape: Shape) -> tuple[tuple[str, int, int], ...]:
    """Name, rows (output) and columns (input) of one layer's matrices."""
    hidden, feed_forward = shape.hidden, shape.feed_forward
    return (
        ("attn_q", hidden, hidden),
        ("attn_k", shape.kv_hidden, hidden),
        ("attn_v", shape.kv_hidden, hidden),
        ("attn_output", hidden, hidden),
        ("ffn_gate", feed_forward, hidden),
        ("ffn_up", feed_forward, hidden),
        ("ffn_down", hidden, feed_forward),
    )
