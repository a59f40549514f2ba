"""Measured rows that nobody measured: made from constants that a test knows."""

import csv

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.operating_point import COLUMNS, concurrent, load_of_points, points_of
from tracekit.analyzers.hardware.prediction import Model, predicted
from tracekit.analyzers.hardware.step_terms import step_terms

MODELS = ("Qwen3-8B", "Qwen3-14B", "Llama-3.1-8B", "Llama-3.1-70B", "Qwen3-32B")
BATCHES = (4, 8, 16, 32, 64, 128)
SHIPPED = Model(catalog.engine().step, catalog.engine().power, {})


def made_rows(
    model=SHIPPED,
    names=MODELS,
    batches=BATCHES,
    tps=(4,),
    gpu="H100",
    slower=1.0,
    hotter=1.0,
    engine="vllm-0.11",
):
    """One row for each model, TP and batch, as the model says; durations times `slower`, watts times `hotter`.

    Each is a dict of text, as csv.DictReader gives them.
    """
    rows = [
        dict.fromkeys(COLUMNS, "")
        | {
            "gpu": gpu,
            "model": name,
            "num_gpus": str(tp),
            "tp": str(tp),
            "batch": str(batch),
            "input_len": "500",
            "output_len": "400",
            "engine": engine,
        }
        for name in names
        for tp in tps
        for batch in batches
    ]
    points = points_of(rows).points
    figures = predicted(points, model)
    step_s = step_terms(load_of_points(points), model.step).step
    for index, (row, point) in enumerate(zip(rows, points, strict=True)):
        watts = figures.power_w[index] * hotter
        rate = concurrent(point) / (step_s[index] * slower)
        row |= {
            "itl_ms": f"{1e3 * figures.itl_s[index] * slower:.17g}",
            "output_tok_s": f"{rate:.17g}",
            "power_per_gpu_w": f"{watts:.17g}",
            "j_per_output_token": f"{watts * point.num_gpus / rate:.17g}",
        }
    return rows


def write_rows(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*COLUMNS, "engine"])
        writer.writeheader()
        writer.writerows(rows)
    return path
