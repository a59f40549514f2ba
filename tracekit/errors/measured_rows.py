"""Measured rows, and the bars that predictions of them are held to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from tracekit.errors.message import TracekitError


class RowsInvalid(TracekitError):
    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(f"The rows in {path} cannot be read: {reason}. They are a CSV file with a header.")

    @classmethod
    def lacks(cls, path: Path, columns: Iterable[str]) -> Self:
        return cls(
            f"{path} has no column {', '.join(columns)}. Measured rows need all columns that `tracekit validate "
            "--help` lists; what was not measured stays empty."
        )

    @classmethod
    def too_few(cls, what: str, found: int, needed: int) -> Self:
        return cls(
            f"{what} needs at least {needed} usable rows, and there are {found}: see `skipped` for why."
        )

    @classmethod
    def no_row(cls, path: Path, why: str) -> Self:
        return cls(f"No row of {path} can be judged. The first reason: {why}")

    @classmethod
    def no_fit_rows(cls, folder: Path, reason: str) -> Self:
        return cls(
            f"The rows that the constants are fitted to are not in {folder} ({reason}); they are not part of the "
            "project. Put mlenergy_v3_h100.csv, mlenergy_v2_llm.csv and llm_inference_bench_power.csv there, or set "
            "TRACEKIT_SHARED to the folder that has data/fit. To judge rows of your own: `tracekit validate ROWS.csv`."
        )


class BarInvalid(TracekitError):
    @classmethod
    def of(cls, text: str, fault: str) -> Self:
        return cls(
            f"The bar '{text}' cannot be used: {fault}. A bar is [TIER.][KIND.]QUANTITY[.STATISTIC]>SHARE, such as "
            "power_w>0.10 or calibrated.dense.itl_ms.median_ape>2%; `tracekit validate --help` lists the names."
        )
