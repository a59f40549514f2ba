"""A rank on PyTorch: `python -m tracekit.measuring.torch_rank`, started by a crew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tracekit.measuring.collective import Collective, TorchCollective
from tracekit.measuring.rank import Record, main
from tracekit.measuring.shape import ModelShape
from tracekit.measuring.torch_device import TorchDevice


class TorchRank(TorchDevice):
    """A device with its part of the model that a start command describes. Raises MeasuringRefused."""

    def __init__(self, command: Record) -> None:
        shape = ModelShape.from_json(command["shape"])
        meeting, wait_s = Path(command["meeting"]), float(command["wait_s"])

        def join(torch: Any, device: Any) -> Collective:
            return TorchCollective(torch, device, shape.rank, shape.tp, meeting, wait_s)

        super().__init__(command["where"], shape, join)

    def about(self) -> Record:
        """What it is: `facts`, `launches`, and the driver's id as `uuid`."""
        facts = {**self.facts(), "collectives": self.collective.name}
        return {"facts": facts, "launches": self.launches, "uuid": self.uuid}


if __name__ == "__main__":
    main(TorchRank)
