"""A log of Sarathi's, with coefficients that are known: same batches, same coefficients, same times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.vidur import CHUNK_TOKENS, SEQUENCES, errors, fitted, halves, print_vidur
from benchmarks.vidur_run import VidurRun, read_run
from tests.oracle.sarathi import Request, Sarathi, write_run
from tests.oracle.sarathi_batches import identical_batches
from tracekit.analyzers.kernels.layout import StepCost
from tracekit.analyzers.step_fit import TERMS

KNOWN = StepCost(1.1e-2, 5e-5, 4e-9, 2e-5, 1e-7, 1.0, 0.0, 0.0, 0.0)


def sarathi_run(seed: int, chunk: int = CHUNK_TOKENS, cap: int = SEQUENCES, calls: int = 150) -> Sarathi:
    """Bursts with waits between, and prompts of many chunks, so that every kind of step occurs."""
    draw = np.random.default_rng(seed)
    arrivals_s = np.cumsum(draw.exponential(0.2, calls) * draw.choice([0.05, 1.0, 4.0], calls))
    prompts = np.clip(draw.lognormal(6.0, 1.2, calls), 1, 4_000).astype(int)
    outputs = np.maximum(1, draw.geometric(0.02, calls))
    rows = zip(arrivals_s.tolist(), prompts.tolist(), outputs.tolist(), strict=True)
    sarathi = Sarathi([Request(number, *row) for number, row in enumerate(rows)], KNOWN, chunk, cap)
    sarathi.run()
    return sarathi


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vidur") / "own"
    write_run(path, sarathi_run(1))
    return path


@pytest.fixture(scope="module")
def recorded(folder: Path) -> VidurRun:
    return read_run(folder)


def batches_that_agree(run: VidurRun, chunk: int, cap: int) -> tuple[int, int]:
    same = identical_batches(run.arrival_s, run.prompt_tokens, run.output_tokens, run.log, chunk, cap)
    return same, run.log.start_s.size


def test_vllm_forms_sarathis_batches(recorded: VidurRun):
    same, all_of_them = batches_that_agree(recorded, CHUNK_TOKENS, SEQUENCES)
    assert same == all_of_them > 1_000


@pytest.mark.parametrize(("chunk", "cap"), [(64, 512), (512, 4), (16, 12)])
def test_vllm_forms_sarathis_batches_under_tight_limits(tmp_path: Path, chunk: int, cap: int):
    write_run(tmp_path / "tight", sarathi_run(2, chunk, cap, calls=60))
    same, all_of_them = batches_that_agree(read_run(tmp_path / "tight"), chunk, cap)
    assert same == all_of_them


def test_another_chunk_or_cap_is_seen(recorded: VidurRun):
    for chunk, cap in [(CHUNK_TOKENS - 1, SEQUENCES), (CHUNK_TOKENS, 3)]:
        same, all_of_them = batches_that_agree(recorded, chunk, cap)
        assert same < all_of_them


def test_the_fit_finds_the_coefficients_and_the_replay_the_times(recorded: VidurRun):
    cost = fitted(recorded, 0, None)
    np.testing.assert_allclose([getattr(cost, term) for term in TERMS], KNOWN[:5], rtol=1e-6)
    everybody = np.ones(recorded.e2e_s.size, bool)
    for time, found in errors(recorded, cost, everybody).items():
        assert max(abs(error) for error in found) < 1e-6, time


def test_coefficients_of_one_run_tell_another(recorded: VidurRun, tmp_path: Path):
    write_run(tmp_path / "other", sarathi_run(3))
    other = read_run(tmp_path / "other")
    for found in errors(other, fitted(recorded, 0, None), np.ones(other.e2e_s.size, bool)).values():
        assert found.mape < 1e-6


def test_each_half_tells_the_other(recorded: VidurRun):
    first, second = halves(recorded)
    assert (first.others ^ second.others).all()
    assert first.end_step == second.first_step
    for half in (first, second):
        cost = fitted(recorded, half.first_step, half.end_step)
        assert errors(recorded, cost, half.others)["e2e"].mape < 1e-6


def test_a_wrong_coefficient_is_seen(recorded: VidurRun):
    slow = fitted(recorded, 0, None)._replace(base_s=1.05 * KNOWN.base_s)
    found = errors(recorded, slow, np.ones(recorded.e2e_s.size, bool))
    assert found["TPOT"].mape > 0.01
    assert found["e2e"].mean > 0.01


def test_what_is_printed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    print_vidur(folder, folder)
    lines = capsys.readouterr().out
    assert "TTFT of own by own: MAPE 0.00%" in lines
    assert "the second half by the first" in lines
    print_vidur(folder, tmp_path / "nowhere")
    assert "not measured" in capsys.readouterr().out
