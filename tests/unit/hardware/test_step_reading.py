"""Steps measured one by one: planted factors are recovered, for decoding, contexts, prompts and watts."""

from dataclasses import replace

import numpy as np
import pytest

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.calibrating import Provenance
from tracekit.analyzers.hardware.calibration import calibrated_cost
from tracekit.analyzers.hardware.calibration_file import read_calibrations, to_toml
from tracekit.analyzers.hardware.kernel_step import Contents, KernelSteps
from tracekit.analyzers.hardware.prompt_fit import PromptCorrection
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.hardware.step_cost import NODES, replica_cost
from tracekit.analyzers.hardware.step_reading import StepReading, calibration_of_steps
from tracekit.errors import CalibrationInvalid

HERE = Provenance("torch on a GPU", "2026-11-22", "calibrated")
REPLICA = Replica(catalog.gpu("H100"), catalog.model("Llama-3.1-8B"), catalog.engine())
COST = replica_cost(REPLICA)
BATCHES, CONTEXTS = (1, 4, 16, 64, 256), (512, 2048, 8192)
CHUNKS, PASTS = (128, 512, 2048, 8192), (0, 2048, 16384)


def sampling_s(sequences):
    return (
        REPLICA.engine.step.sampling_passes * 4 * REPLICA.model.vocabulary * sequences / REPLICA.bandwidth_b_s
    )


def decode_readings(slower=1.0, context=1.0, batches=BATCHES, contexts=CONTEXTS, watts=None):
    """What the model says of the GPU's part, so many times as long, and the context's part by another factor."""
    found = []
    for batch in batches:
        for tokens in contexts:
            [said] = np.transpose(KernelSteps.of(COST, Contents.decoding(np.array([float(batch)]), tokens)))
            read_s = COST.step.decode_context_s * batch * tokens
            rest_s = said[0] - said[1] - sampling_s(batch) - read_s
            found.append(StepReading(batch, tokens, 0, slower * rest_s + context * read_s, watts))
    return found


def prompt_readings(slower=1.0, watts=None):
    found = []
    for chunk in CHUNKS:
        for past in PASTS:
            said = KernelSteps.of(COST, Contents.prompts(np.array([float(chunk)]), np.array([float(past)])))
            found.append(StepReading(1, past, chunk, slower * float(said.seconds[0] - said.host[0]), watts))
    return found


def seconds(cost, contents):
    return KernelSteps.of(cost, contents).seconds


def test_what_the_model_says_calibrates_nothing():
    found = calibration_of_steps(REPLICA, decode_readings() + prompt_readings(), HERE)
    assert found.step.log_ratio == pytest.approx([0.0] * 5, abs=1e-5)
    assert found.context_ratio == pytest.approx(1.0, rel=1e-6)
    assert found.prompt.log_ratio == pytest.approx([0.0] * 12, abs=1e-5)
    assert found.power is None
    contents = Contents.decoding(np.array([1.0, 32.0, 256.0]), np.array([100.0, 5000.0, 700.0]))
    assert seconds(calibrated_cost(COST, found), contents) == pytest.approx(seconds(COST, contents), rel=1e-3)


def test_decoding_at_every_context():
    found = calibration_of_steps(REPLICA, decode_readings(slower=1.2, context=1.5), HERE)
    assert found.context_ratio == pytest.approx(1.5, rel=1e-3)
    corrected = calibrated_cost(COST, found)
    for batch in (1, 16, 256):
        for reading in decode_readings(1.2, 1.5, batches=(batch,), contexts=(300, 4000, 12000)):
            one = Contents.decoding(np.array([float(batch)]), reading.context)
            wanted = reading.on_gpu_s + KernelSteps.of(COST, one).host[0] + sampling_s(batch)
            assert seconds(corrected, one)[0] == pytest.approx(wanted, rel=0.01)


def test_one_context_says_nothing_of_others():
    found = calibration_of_steps(REPLICA, decode_readings(1.3, 1.3, contexts=(1024,)), HERE)
    assert found.context_ratio is None
    assert found.step.log_ratio[0] > 0
    assert found.context_tokens == pytest.approx(1024)


def test_prompts_take_what_was_measured():
    found = calibration_of_steps(REPLICA, decode_readings(1.2, 1.2) + prompt_readings(1.4), HERE)
    corrected = calibrated_cost(COST, found)
    for reading in prompt_readings(1.4):
        one = Contents.prompts(np.array([float(reading.prompt_tokens)]), np.array([float(reading.context)]))
        wanted = reading.on_gpu_s + KernelSteps.of(COST, one).host[0]
        assert seconds(corrected, one)[0] == pytest.approx(wanted, rel=0.05)
    assert found.prompt.error.mape < 0.05
    assert found.prompt.error.on == "12 chunks, leave one out"


def test_prompts_alone():
    found = calibration_of_steps(REPLICA, prompt_readings(1.4), HERE)
    assert (found.step, found.power, found.context_ratio) == (None, None, None)
    one = Contents.decoding(np.array([8.0]), 1000.0)
    corrected = calibrated_cost(COST, found)
    assert seconds(corrected, one) == pytest.approx(seconds(COST, one))


def test_no_prompt_makes_a_step_vanish():
    found = calibration_of_steps(REPLICA, decode_readings(0.05) + prompt_readings(0.001), HERE)
    corrected = calibrated_cost(COST, found)
    steps = Contents.prompts(NODES, np.zeros(len(NODES)))
    assert (seconds(corrected, steps) > 0).all()


def test_watts_of_decoding_and_of_prompts():
    readings = decode_readings(1.2, 1.2, watts=500.0) + prompt_readings(1.1, watts=650.0)
    found = calibration_of_steps(REPLICA, readings, HERE, warm_idle_w=90.0)
    corrected = calibrated_cost(COST, found)
    assert corrected.power.idle_w == 90.0
    floor_w = COST.power.floor_w
    for batch in (1, 64):
        one = Contents.decoding(np.array([float(batch)]), found.context_tokens)
        steps = KernelSteps.of(corrected, one)
        busy = 1 - (steps.host[0] + sampling_s(batch)) / steps.seconds[0]
        assert steps.watts(corrected.power)[0] == pytest.approx(floor_w + (500 - floor_w) * busy, rel=0.02)
    chunks = [(float(chunk), float(past)) for chunk in CHUNKS for past in PASTS]
    steps = KernelSteps.of(corrected, Contents.prompts(*np.transpose(chunks)))
    wanted = floor_w + (650 - floor_w) * (1 - steps.host / steps.seconds)
    off = np.log(steps.watts(corrected.power) / wanted)
    assert off.mean() == pytest.approx(0.0, abs=0.01)
    assert np.abs(off).max() < 0.15


def test_experts_are_compared_with_tokens_that_choose_independently():
    replica = replace(REPLICA, model=catalog.model("Qwen3-30B-A3B"))
    engine = replica.engine
    scattered = replace(replica, engine=replace(engine, step=engine.step._replace(routing_diversity=1.0)))
    steps = KernelSteps.of(replica_cost(scattered), Contents.decoding(np.array([16.0]), 1000.0))
    sampling = engine.step.sampling_passes * 4 * replica.model.vocabulary * 16 / replica.bandwidth_b_s
    reading = StepReading(16, 1000, 0, float(steps.seconds[0] - steps.host[0]) - sampling, None)
    found = calibration_of_steps(replica, [reading], HERE)
    assert found.step.log_ratio == pytest.approx([0.0], abs=1e-4)


def test_without_readings_there_is_none():
    assert calibration_of_steps(REPLICA, [], HERE) is None


def test_a_file_brings_it_back(tmp_path):
    readings = decode_readings(1.2, 1.5, watts=500.0) + prompt_readings(1.4, watts=600.0)
    found = calibration_of_steps(REPLICA, readings, HERE, warm_idle_w=90.5)
    path = tmp_path / "calibration.toml"
    path.write_text(to_toml([found]))
    [back] = read_calibrations(path)
    rounded = {"context_ratio": 0.0, "context_driven_ratio": 0.0, "context_tokens": 0.0}
    for name in rounded:
        assert getattr(back, name) == pytest.approx(getattr(found, name), rel=1e-4)
    assert replace(back, **rounded) == replace(found, **rounded)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("chunk_tokens = [128.0,", "chunk_tokens = ["),
        lambda text: text.replace("chunk_tokens = [128.0,", "chunk_tokens = [-1.0,"),
        lambda text: text.replace("context_ratio = ", "context_ratio = []#"),
    ],
)
def test_files_that_are_no_calibration(tmp_path, change):
    found = calibration_of_steps(REPLICA, decode_readings() + prompt_readings(), HERE)
    path = tmp_path / "calibration.toml"
    path.write_text(change(to_toml([found])))
    with pytest.raises(CalibrationInvalid):
        read_calibrations(path)


def test_one_coefficient_of_prompts_where_one_context_was_measured():
    prompts = PromptCorrection((512.0, 2048.0), (0.0, 0.0), (0.3, 0.3))
    from tracekit.analyzers.hardware.prompt_fit import with_prompts

    corrected = with_prompts(COST, COST, prompts)
    steps = Contents.prompts(np.array([512.0, 2048.0]), np.zeros(2))
    assert seconds(corrected, steps) == pytest.approx(np.exp(0.3) * seconds(COST, steps), rel=0.02)
