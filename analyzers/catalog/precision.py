"""Formats of weights, and the bytes that one value takes."""

from __future__ import annotations

from types import MappingProxyType

from tracekit.errors import UnknownName

# Scales included: fp8 has one per row or 128 x 128 block (negligible), int4 a float16 and a zero point per 128
# values (AWQ, GPTQ), mxfp4 one byte per 32 values (OCP MX 1.0), nvfp4 one byte per 16 values.
BYTES_PER_VALUE = MappingProxyType(
    {
        "fp32": 4.0,
        "bf16": 2.0,
        "fp16": 2.0,
        "fp8": 1.0,
        "int8": 1.0,
        "int4": 0.5 + 2.5 / 128,
        "mxfp4": 0.5 + 1 / 32,
        "nvfp4": 0.5 + 1 / 16,
    }
)
SIXTEEN_BIT = ("bf16", "fp16")


def bytes_per_value(precision: str) -> float:
    """Bytes of one weight, its share of the scales included. Raises UnknownName."""
    if precision not in BYTES_PER_VALUE:
        raise UnknownName.among("precision", precision, BYTES_PER_VALUE)
    return BYTES_PER_VALUE[precision]
