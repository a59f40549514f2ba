"""From what a user asks for to a bench: the device, its meter, and what both are."""

from __future__ import annotations

from dataclasses import dataclass

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.catalog.model import Model
from tracekit.analyzers.hardware.replica import Replica
from tracekit.errors import MeasuringRefused, UnknownName
from tracekit.measuring.bench import Bench
from tracekit.measuring.meter import meter_of, visible_uuid
from tracekit.measuring.shape import ModelShape
from tracekit.measuring.torch_device import TorchDevice, gpu_count

FIRST_GPU = "cuda:0"


@dataclass(frozen=True)
class Setup:
    """A bench that is ready; `idle_w` is of the device before it was touched, None where nobody tells."""

    bench: Bench
    shape: ModelShape
    facts: dict[str, str]
    idle_w: float | None


def default_device() -> str:
    """The first GPU, or the processor where there is none. Raises MeasuringRefused without PyTorch."""
    return FIRST_GPU if gpu_count() else "cpu"


def set_up(where: str, model: Model, tp: int = 1) -> Setup:
    """Raises MeasuringRefused: a model that is not built here, no such device, several GPUs."""
    if tp > 1:
        raise MeasuringRefused.tensor_parallel(tp, gpu_count())
    shape = ModelShape.of(model, tp)
    idle_w = _idle_w(where)
    device = TorchDevice(where, shape)
    meter = meter_of([device.uuid] if device.uuid else [])
    facts = {**device.facts(), **meter.facts()}
    return Setup(Bench(device, meter), shape, facts, idle_w)


def _idle_w(where: str) -> float | None:
    uuid = visible_uuid(where)
    meter = meter_of([uuid] if uuid else [])
    return meter.power_w()


def replica_of(gpu: str | None, device: str, model: Model, engine: str | None, tp: int) -> Replica | None:
    """The replica that is calibrated; None where the device is no GPU of the catalog, and none is named."""
    try:
        row = catalog.gpu(gpu or device)
    except UnknownName:
        if gpu is not None:
            raise
        return None
    return Replica(row, model, catalog.engine(engine or catalog.DEFAULT_ENGINE), tp)
