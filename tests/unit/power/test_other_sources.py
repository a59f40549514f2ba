"""CPU packages through powercap and AMD's GPUs through amdsmi, as far as files and answers can stand in for them."""

import sys
from types import SimpleNamespace

import pytest

from tracekit.collectors.power.amd import AmdSource
from tracekit.collectors.power.device import SourceMissing
from tracekit.collectors.power.rapl import RaplSource


def zone(folder, path, name, energy_uj, range_uj=1000):
    place = folder / path
    place.mkdir(parents=True)
    (place / "name").write_text(name + "\n")
    (place / "energy_uj").write_text(f"{energy_uj}\n")
    (place / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return place / "energy_uj"


def test_packages_and_their_memory_are_counters_that_wrap(tmp_path):
    package = zone(tmp_path, "intel-rapl:0", "package-0", 900)
    zone(tmp_path, "intel-rapl:0:0", "core", 1)
    zone(tmp_path, "intel-rapl:0:1", "dram", 5)
    zone(tmp_path, "intel-rapl:1", "psys", 5)
    cpu, dram = RaplSource(tmp_path).open(lambda *_: pytest.fail("nothing to tell"))
    assert (cpu.id, cpu.facts()) == ("package-0", {"device": "cpu", "device_name": "package-0"})
    assert dram.facts() == {"device": "dram", "device_name": "package-0-dram"}
    joules = []
    for energy_uj in (950, 20, 990, 10):
        package.write_text(str(energy_uj))
        joules.append(cpu.sample(everything=True)["energy_counter_j"])
    assert joules == pytest.approx([950e-6, 1020e-6, 1990e-6, 2010e-6])
    package.unlink()
    assert cpu.sample(everything=True) == {
        "energy_counter_j": None, "reason": "FileNotFoundError", "energy_reason": "FileNotFoundError",
    }  # fmt: skip


def test_no_packages(tmp_path):
    with pytest.raises(SourceMissing):
        RaplSource(tmp_path / "none").open(lambda *_: None)


def test_counters_for_root_alone_are_told(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0", 900)
    read = type(tmp_path).read_bytes

    def refused(path):
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(type(tmp_path), "read_bytes", refused)
    told = []
    with pytest.raises(SourceMissing):
        RaplSource(tmp_path).open(lambda label, what: told.append((label, what)))
    assert told == [("CPU energy", "only root may read it (/sys/class/powercap)")]


class FakeAmdsmi(SimpleNamespace):
    """Answers in the words of amdsmi 7.0; `power` and `energy` are what a test says."""

    AmdSmiMemoryType = SimpleNamespace(VRAM="vram")
    AmdSmiClkType = SimpleNamespace(GFX="gfx")
    AmdSmiTemperatureType = SimpleNamespace(HOTSPOT="hot")
    AmdSmiTemperatureMetric = SimpleNamespace(CURRENT="now")

    def amdsmi_init(self): ...
    def amdsmi_get_processor_handles(self):
        return self.handles

    def amdsmi_get_gpu_asic_info(self, handle):
        return {"market_name": "AMD Instinct MI300X"}

    def amdsmi_get_gpu_device_uuid(self, handle):
        return f"uuid-{handle}"

    def amdsmi_get_gpu_memory_total(self, handle, kind):
        return {"vram": 192 * 10**9}[kind]

    def amdsmi_get_gpu_memory_usage(self, handle, kind):
        return {"vram": 10**9}[kind]

    def amdsmi_get_power_info(self, handle):
        return self.power

    def amdsmi_get_energy_count(self, handle):
        if isinstance(self.energy, Exception):
            raise self.energy
        return self.energy

    def amdsmi_get_gpu_activity(self, handle):
        return {"gfx_activity": 50, "umc_activity": "N/A"}

    def amdsmi_get_clock_info(self, handle, kind):
        return {"clk": 2100}

    def amdsmi_get_temp_metric(self, handle, kind, metric):
        return 44


@pytest.fixture
def amdsmi(monkeypatch):
    fake = FakeAmdsmi(
        handles=["a"],
        power={"current_socket_power": 610, "average_socket_power": "N/A"},
        energy={"energy_accumulator": 10**9, "counter_resolution": 15.26, "timestamp": 1},
    )
    monkeypatch.setitem(sys.modules, "amdsmi", fake)
    return fake


def test_an_amd_gpu(amdsmi):
    told = []
    [gpu] = AmdSource().open(lambda *fault: told.append(fault))
    assert gpu.facts()["gpu_name"] == "AMD Instinct MI300X"
    assert gpu.sample(everything=True) == {
        "power_w": 610.0, "power_source": "instant", "energy_counter_j": pytest.approx(15260.0),
        "utilization_gpu": 0.5, "utilization_memory": None, "memory_used_bytes": 10**9,
        "sm_clock_mhz": 2100, "temperature_c": 44,
    }  # fmt: skip
    assert told == []


@pytest.mark.parametrize("unknown", ["N/A", 0xFFFF, 0xFFFFFFFF])
def test_what_amdsmi_does_not_know_is_null(amdsmi, unknown):
    amdsmi.power = {"current_socket_power": unknown, "average_socket_power": unknown}
    amdsmi.energy = RuntimeError("not in guests")
    told = []
    [gpu] = AmdSource().open(lambda *fault: told.append(fault))
    values = gpu.sample(everything=False)
    assert (values["power_w"], values["energy_counter_j"], values["reason"]) == (None, None, "RuntimeError")
    assert told


def test_navi_has_the_average_alone(amdsmi):
    amdsmi.power = {"current_socket_power": "N/A", "average_socket_power": 120}
    [gpu] = AmdSource().open(lambda *_: None)
    values = gpu.sample(everything=False)
    assert (values["power_w"], values["power_source"]) == (120.0, "average")


def test_no_amd_gpu(amdsmi, monkeypatch):
    amdsmi.handles = []
    with pytest.raises(SourceMissing, match="finds no GPU"):
        AmdSource().open(lambda *_: None)
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    with pytest.raises(SourceMissing, match="Error"):
        AmdSource().open(lambda *_: None)
