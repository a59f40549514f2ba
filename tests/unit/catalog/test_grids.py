"""Carbon intensities are plausible ranges with sources; so are PUE and the watts of hosts."""

import re

import pytest

from tracekit.analyzers.catalog import catalog, facility
from tracekit.analyzers.catalog.tables import table
from tracekit.errors import UnknownName

GRIDS = [catalog.grid(code) for code in catalog.names("grids")]
DATE = re.compile(r"20\d\d(-\d\d)?")


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.code)
def test_a_grid_is_the_range_of_its_sources(grid):
    """The world's second value is CodeCarbon's default; the others are named with tool, version and number."""
    values = [float(number) for number in re.findall(r"\(([\d.]+)(?:, 20\d\d)?\)", grid.source)]
    assert (min(values), max(values)) == (grid.low, grid.high)
    assert 0 < grid.low <= grid.high <= 1400  # old plants on gas or lignite
    assert grid.high <= 2.3 * grid.low
    assert DATE.fullmatch(grid.date)
    assert re.fullmatch(r"[A-Z]{3}|US-[A-Z]{2}", grid.code)


def test_all_countries_and_states_are_there():
    states = [grid for grid in GRIDS if grid.code.startswith("US-")]
    assert len(states) == 51
    assert len(GRIDS) - len(states) > 200
    assert "CAF" not in {grid.code for grid in GRIDS}  # both sources say 0


def test_names_and_codes_lead_to_one_grid():
    words = [word.lower() for code, row in table("grids").items() for word in (code, row["name"])]
    assert len(words) == len(set(words))
    assert catalog.grid("france") == catalog.grid("FRA")
    assert catalog.grid("us-tx").name == "Texas (US)"
    with pytest.raises(UnknownName, match="Did you mean Germany"):
        catalog.grid("Germny")


def test_pue_and_hosts():
    for row in facility.pues():
        assert 1 < row.pue < 2
        assert 2020 <= row.year <= 2026
        assert row.source
        assert DATE.fullmatch(row.date)
    for row in facility.hosts():
        assert 50 < row.host_w_per_gpu < 500
        assert row.gpus == 8
        assert row.source
        assert DATE.fullmatch(row.date)
    assert facility.pue("Google").pue == 1.09
    assert facility.host("dgx-h100").host_w_per_gpu == (2800 - 8 * 75) / 8
    with pytest.raises(UnknownName, match="Did you mean google"):
        facility.pue("gogle")
    with pytest.raises(UnknownName, match="Did you mean"):
        facility.host("dgx")
