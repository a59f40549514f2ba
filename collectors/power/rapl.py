"""Energy of CPU packages and their memory: Linux's powercap counters (RAPL), where this user may read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tracekit.collectors.power.device import SourceMissing, TellFault, Values

POWERCAP = Path("/sys/class/powercap")
_KINDS = {"package": "cpu", "dram": "dram"}


class RaplSource:
    """The packages, and the memory that they count beside them; parts of a package are in it already."""

    name = "powercap"
    has_gpus = False

    def __init__(self, folder: Path = POWERCAP) -> None:
        self._folder = folder

    def open(self, tell: TellFault) -> Sequence[RaplDomain]:
        domains: list[RaplDomain] = []
        for zone in sorted(self._folder.glob("intel-rapl:*")):  # AMD's CPUs are under this name too
            domain = _domain(zone, tell)
            if domain is not None:
                domains.append(domain)
        if not domains:
            raise SourceMissing("no CPU energy counter that this user may read")
        return domains


class RaplDomain:
    """One counter; it wraps, so what it says is counted on here."""

    def __init__(self, counter: Path, name: str, kind: str, range_uj: int, first_uj: int) -> None:
        self._counter = counter
        self._name = name
        self._kind = kind
        self._range_uj = range_uj
        self._last_uj = first_uj
        self._wrapped_uj = 0
        self._reason: str | None = None

    @property
    def id(self) -> str:
        return self._name

    @property
    def label(self) -> str:
        return f"CPU {self._name}"

    def identity(self) -> Values:
        return self.facts()

    def facts(self) -> Values:
        return {"device": self._kind, "device_name": self._name}

    def sample(self, *, everything: bool) -> Values | None:
        energy_j = self.peek()[0]
        return {"energy_counter_j": energy_j} | (
            {} if energy_j is not None else {"reason": self._reason, "energy_reason": self._reason}
        )

    def peek(self) -> tuple[float | None, float | None]:
        try:
            now_uj = int(self._counter.read_bytes())
        except (OSError, ValueError) as error:
            self._reason = type(error).__name__
            return None, None
        if now_uj < self._last_uj:
            self._wrapped_uj += self._range_uj
        self._last_uj = now_uj
        return (self._wrapped_uj + now_uj) / 1e6, None


def _domain(zone: Path, tell: TellFault) -> RaplDomain | None:
    try:
        name = (zone / "name").read_text().strip()
        kind = next((kind for start, kind in _KINDS.items() if name.startswith(start)), None)
        if kind is None:
            return None
        if kind == "dram":
            name = f"{(zone.parent / zone.name.rpartition(':')[0] / 'name').read_text().strip()}-dram"
        first_uj = int((zone / "energy_uj").read_bytes())
        return RaplDomain(
            zone / "energy_uj", name, kind, int((zone / "max_energy_range_uj").read_bytes()), first_uj
        )
    except PermissionError:
        tell("CPU energy", "only root may read it (/sys/class/powercap)")
    except (OSError, ValueError):
        return None
    return None
