"""The fleet file shown in the documentation is one that works."""

from dataclasses import fields
from pathlib import Path

from tracekit.analyzers.scenario import Fleet

PAGE = (Path(__file__).parents[2] / "docs" / "background.md").read_text()


def test_the_fleet_file_in_the_docs(tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text(PAGE.split("```toml\n")[1].split("```")[0])
    fleet = Fleet.from_toml(path)
    assert fleet.limits().replicas == 2
    for field in fields(Fleet):
        assert field.name == "assumed" or f"{field.name} = " in PAGE
