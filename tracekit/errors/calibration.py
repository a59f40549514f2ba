"""Calibrations, and measuring for one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tracekit.errors.message import TracekitError


class CalibrationInvalid(TracekitError):
    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(
            f"The calibration {path} cannot be used: {reason}. `tracekit calibrate ROWS.csv -o {path}` writes one."
        )


class MeasuringRefused(TracekitError):
    @classmethod
    def unbuilt(cls, model: str, what: str) -> Self:
        return cls(
            f"{model} cannot be measured here: blocks with {what} are not built. Give `tracekit calibrate` "
            "measured rows, or a trace of it."
        )

    @classmethod
    def precision(cls, model: str, precision: str) -> Self:
        return cls(
            f"{model} has weights of {precision}, and blocks are built of 16 or 32 bits only. Measure "
            f"{model.partition('@')[0]}@bf16, which calibrates replays of that precision."
        )

    @classmethod
    def no_torch(cls, reason: str) -> Self:
        return cls(
            f"Measuring needs PyTorch, which cannot be imported ({reason}). Install the extra: "
            "pip install 'tracekit-replay[torch]'."
        )

    @classmethod
    def no_device(cls, device: str, reason: str) -> Self:
        return cls(f"The device '{device}' cannot be used: {reason}. Known are cpu, cuda and cuda:NUMBER.")

    @classmethod
    def too_few_gpus(cls, tp: int, first: int, count: int) -> Self:
        wanted = f"cuda:{first} to cuda:{first + tp - 1}"
        return cls(
            f"--tp {tp} needs {tp} GPUs, {wanted}, and PyTorch sees {count}. Give a smaller --tp, name the first GPU "
            "with --device cuda:NUMBER, or choose them with CUDA_VISIBLE_DEVICES; --device cpu tries it out on the "
            "processor."
        )

    @classmethod
    def unlike(cls, names: Sequence[str]) -> Self:
        return cls(
            f"The GPUs of a tensor-parallel group have to be alike, and these are {', '.join(names)}. Choose others "
            "with CUDA_VISIBLE_DEVICES."
        )

    @classmethod
    def group(cls, tp: int, reason: str) -> Self:
        return cls(
            f"The {tp} processes of --tp {tp} did not come together: {reason}. Measure one GPU without --tp to see "
            "whether it works alone; NCCL_DEBUG=INFO has NCCL say more."
        )

    @classmethod
    def journal(cls, path: Path, reason: str) -> Self:
        return cls(f"The readings {path} cannot be kept: {reason}. Choose another output with -o.")

    @classmethod
    def other(cls, path: Path, name: str, theirs: str, ours: str) -> Self:
        return cls(
            f"{path} holds readings of another measurement ({name} is {theirs} there and {ours} here). Choose another "
            "output with -o, or begin anew with --force."
        )

    @classmethod
    def nothing(cls, reason: str) -> Self:
        return cls(
            f"No point could be measured: {reason}. Try a smaller model, --max-batch or --max-context."
        )
