"""The fleet files shown in the documentation work, and between them show every key."""

from dataclasses import fields
from pathlib import Path

import pytest

from tracekit.analyzers.scenario import Fleet, Pool

PAGE = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text()
FILES = [part.split("```")[0] for part in PAGE.split("```toml\n")[1:]]


@pytest.mark.parametrize(("file", "replicas"), list(zip(FILES, (2, 3, 3, 8), strict=True)))
def test_the_fleet_files_in_the_docs(tmp_path, file, replicas):
    path = tmp_path / "fleet.toml"
    path.write_text(file)
    fleet = Fleet.from_toml(path)
    assert fleet.replicas == replicas
    assert len(fleet.limits()) == len(fleet.pools)


@pytest.mark.parametrize("field", [*fields(Fleet), *fields(Pool)], ids=lambda field: field.name)
def test_every_key_is_shown(field):
    assert field.name in ("assumed", "pools") or f"\n{field.name} = " in "".join(FILES)
