"""From what a user asks for to a bench: the device or group of them, its meter, and what both are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.catalog.model import Model
from tracekit.analyzers.hardware.replica import Replica
from tracekit.errors import MeasuringRefused, UnknownName
from tracekit.measuring.bench import Bench
from tracekit.measuring.group_device import GroupDevice
from tracekit.measuring.meter import meter_of, visible_uuid
from tracekit.measuring.shape import ModelShape
from tracekit.measuring.torch_device import TorchDevice, gpu_count

FIRST_GPU = "cuda:0"
SLOWEST_SHARE = 0.25
"""Of the budget, that two repetitions may take: a point has eight, or it is left out."""


@dataclass(frozen=True)
class Setup:
    """A bench that is ready; `idle_w` is of its GPUs before they were touched, None where nobody tells."""

    bench: Bench
    shape: ModelShape
    facts: dict[str, str]
    idle_w: float | None


def set_up(where: str | None, model: Model, tp: int = 1, budget_s: float = 0.0) -> Setup:
    """A bench on that device, or on `tp` from it on; None is the first GPU, or the processor where there is none.

    The caller closes the bench's device. Raises MeasuringRefused: a model that is not built here, no such device, too
    few GPUs, no PyTorch.
    """
    shape = ModelShape.of(model, tp)
    places = places_of(where, tp, gpu_count())
    idle_w = _idle_w(places)
    device: TorchDevice | GroupDevice
    if tp == 1:
        device = TorchDevice(places[0], shape)
        uuids = [device.uuid] if device.uuid else []
    else:
        device = GroupDevice(places, ModelShape.of(model), SLOWEST_SHARE * budget_s)
        uuids = device.uuids
    meter = meter_of(uuids)
    facts = {**device.facts(), **meter.facts()}
    return Setup(Bench(device, meter), shape, facts, idle_w)


def places_of(where: str | None, tp: int, gpus: int) -> list[str]:
    """A device for each of `tp` ranks: the processor for all, or GPUs in a row. Raises MeasuringRefused."""
    if tp == 1:
        return [where or (FIRST_GPU if gpus else "cpu")]
    if where == "cpu":
        return [where] * tp
    kind, _, number = (where or FIRST_GPU).partition(":")
    if kind != "cuda" or not (number or "0").isdecimal():
        raise MeasuringRefused.no_device(str(where), "it is of another kind")
    first = int(number or 0)
    if first + tp > gpus:
        raise MeasuringRefused.too_few_gpus(tp, first, gpus)
    return [f"cuda:{first + rank}" for rank in range(tp)]


def _idle_w(places: Sequence[str]) -> float | None:
    uuids = [visible_uuid(place) for place in places]
    known = [uuid for uuid in uuids if uuid is not None]
    return meter_of(known).power_w() if len(known) == len(uuids) else None


def replica_of(gpu: str | None, device: str, model: Model, engine: str | None, tp: int) -> Replica | None:
    """The replica that is calibrated; None where the device is no GPU of the catalog, and none is named."""
    try:
        row = catalog.gpu(gpu or device)
    except UnknownName:
        if gpu is not None:
            raise
        return None
    return Replica(row, model, catalog.engine(engine or catalog.DEFAULT_ENGINE), tp)
