"""What stands around the GPUs: joules of the server and of the building, and grams of CO2-equivalent."""

from __future__ import annotations

from dataclasses import dataclass

from tracekit.analyzers.catalog import catalog, facility
from tracekit.analyzers.catalog.facility import Host, Pue
from tracekit.analyzers.catalog.grid import Grid
from tracekit.units import J_PER_WH

SCOPES = ("gpu", "server", "facility")
DEFAULT_HOST, DEFAULT_PUE = "ecologits", "industry"
S_PER_HOUR = 3600
HOURS_PER_YEAR = 8760
HOURS_PER_MONTH = HOURS_PER_YEAR / 12


@dataclass(frozen=True)
class Footprint:
    """The server that a GPU is in, the building that the server is in, and the grid that feeds it."""

    host: Host
    pue: Pue
    grid: Grid

    @classmethod
    def of(
        cls, host: str = DEFAULT_HOST, pue: str = DEFAULT_PUE, grid: str = catalog.DEFAULT_GRID
    ) -> Footprint:
        """By their names in the catalog. Raises UnknownName."""
        return cls(facility.host(host), facility.pue(pue), catalog.grid(grid))

    def watts(self, gpu_watts: float, gpus: float) -> dict[str, float]:
        """By scope, of `gpus` GPUs that are on and draw `gpu_watts` together."""
        server = gpu_watts + gpus * self.host.host_w_per_gpu
        return {"gpu": gpu_watts, "server": server, "facility": server * self.pue.pue}

    def grams(self, joules: float) -> tuple[float, float]:
        """CO2-equivalent, as the range between the grid's sources."""
        kwh = joules / J_PER_WH / 1000
        return kwh * self.grid.low, kwh * self.grid.high
