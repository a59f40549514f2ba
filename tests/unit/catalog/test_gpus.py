"""Every GPU's values have a source and a date, are plausible, and agree with each other as data sheets do."""

import re

import pytest

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.catalog.gpu import NEEDED_KEYS, VALUE_KEYS
from tracekit.errors import CatalogInvalid

DATE = re.compile(r"20\d\d(-\d\d){0,2}")
UNITS = ("_gb", "_gb_s", "_tflops", "_w")
ALL = [catalog.gpu(name) for name in catalog.names("gpus")]
EACH = pytest.mark.parametrize("gpu", ALL, ids=lambda gpu: gpu.name)
# GB/s of one device, least and most, over all that were built with it.
BANDWIDTH_OF_MEMORY = {
    "HBM2": (800, 1600),
    "HBM2e": (1500, 3300),
    "HBM3": (3300, 5400),
    "HBM3e": (4800, 8100),
    "GDDR6": (300, 970),
    "GDDR6X": (900, 1100),
    "GDDR7": (1500, 1800),
}
HAS_FP8 = {"Ada", "Hopper", "Blackwell", "Blackwell Ultra", "CDNA 3"}
HAS_FP4 = {"Blackwell", "Blackwell Ultra"}


@EACH
def test_each_value_has_a_source_and_a_date(gpu):
    given = {key for key in VALUE_KEYS if getattr(gpu, key) is not None}
    assert set(gpu.sources) == given
    assert set(NEEDED_KEYS) <= given
    for source in gpu.sources.values():
        text, _, date = source.rpartition(" (")
        assert len(text) > 5
        assert DATE.fullmatch(date.removesuffix(")"))


def test_each_key_names_its_unit():
    assert all(key.endswith(UNITS) for key in VALUE_KEYS)


@EACH
def test_bandwidth_fits_the_memory(gpu):
    least, most = BANDWIDTH_OF_MEMORY[gpu.memory_type]
    assert least <= gpu.bandwidth_gb_s <= most


@EACH
def test_fp8_is_twice_the_rate_of_sixteen_bits(gpu):
    assert (gpu.fp8_dense_tflops is not None) == (gpu.architecture in HAS_FP8)
    if gpu.fp8_dense_tflops is not None:
        assert gpu.fp8_dense_tflops / gpu.bf16_dense_tflops == pytest.approx(2, rel=0.015)


@EACH
def test_fp4_is_at_least_twice_the_rate_of_fp8(gpu):
    assert (gpu.fp4_dense_tflops is not None) == (gpu.architecture in HAS_FP4)
    if gpu.fp4_dense_tflops is not None:
        assert 1.99 <= gpu.fp4_dense_tflops / gpu.fp8_dense_tflops <= 3.2


@EACH
def test_watts_are_in_order(gpu):
    assert 0.1 * gpu.tdp_w <= gpu.warm_idle_w <= 0.35 * gpu.tdp_w
    assert gpu.tdp_w <= 1400
    if gpu.idle_w is not None:
        assert gpu.idle_w <= gpu.warm_idle_w


@EACH
def test_usable_memory_is_the_nominal_one_in_either_unit(gpu):
    """Drivers count GiB where data sheets say GB, and hide a little of it."""
    if gpu.usable_gb is not None:
        assert 0.97 <= gpu.usable_gb / gpu.memory_gb <= 1.08


@EACH
def test_links_are_as_fast_as_their_kind(gpu):
    least, most = {"NVLink": (300, 1800), "PCIe": (32, 128), "Infinity Fabric": (800, 900)}[gpu.link]
    assert least <= gpu.link_gb_s <= most


@EACH
def test_prices_are_ranges_with_a_date(gpu):
    price = gpu.usd_per_hour
    if price is None:
        with pytest.raises(CatalogInvalid, match=r"--catalog FILE, where FILE says \[price"):
            _ = gpu.price
    else:
        assert 0.01 < price.low <= price.typical <= price.high < 20
        assert DATE.fullmatch(price.date)
        assert price.kind
        assert price.source


def test_what_is_assumed_says_so():
    assert catalog.gpu("B200").sources["warm_idle_w"].startswith("assumed:")
    assert catalog.gpu("H200").sources["warm_idle_w"].startswith("measured:")
    assert catalog.gpu("A100").idle_w == 60.5
    assert catalog.gpu("L4").idle_w is None


def test_spellings_lead_to_one_gpu():
    spellings = [word.lower() for gpu in ALL for word in (gpu.name, *gpu.aliases)]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize(
    ("reported", "name"),
    [
        ("Tesla V100-SXM2-32GB", "V100-SXM2-32GB"),
        ("NVIDIA A100-SXM4-40GB", "A100-SXM-40GB"),
        ("NVIDIA A100-SXM4-80GB", "A100-SXM-80GB"),
        ("NVIDIA A100 80GB PCIe", "A100-PCIe-80GB"),
        ("NVIDIA H100 80GB HBM3", "H100-SXM-80GB"),
        ("NVIDIA H100 PCIe", "H100-PCIe-80GB"),
        ("NVIDIA H100 NVL", "H100-NVL-94GB"),
        ("NVIDIA H200", "H200-SXM-141GB"),
        ("NVIDIA GeForce RTX 4090", "RTX-4090"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX-6000-Ada"),
    ],
)
def test_a_driver_s_device_name_is_an_alias(reported, name):
    assert catalog.gpu(reported).name == name
