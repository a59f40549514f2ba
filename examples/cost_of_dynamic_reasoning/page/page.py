"""The page as a whole: prose in a template, tables and figures from the results."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from examples.cost_of_dynamic_reasoning.page import (
    beyond,
    caching,
    datacenter,
    energy,
    latency,
    requests,
    scaling,
    serving,
)
from examples.cost_of_dynamic_reasoning.page.targets import TARGETS
from examples.cost_of_dynamic_reasoning.published import HERE, INPUTS, tables
from examples.cost_of_dynamic_reasoning.results import Results
from examples.cost_of_dynamic_reasoning.workspace import Effort

SECTIONS = {
    "requests": requests,
    "latency": latency,
    "caching": caching,
    "serving": serving,
    "energy": energy,
    "datacenter": datacenter,
    "scaling": scaling,
    "beyond": beyond,
}


def markdown(results: Results, effort: Effort, *, quick: bool) -> str:
    """The page; a quick one says that its numbers are no answer."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "page"), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )  # fmt: skip
    told = {name: module.context(results) for name, module in SECTIONS.items()}
    sources = {file.name: _sources(file) for file in (INPUTS, TARGETS)}
    template = environment.get_template("page.md.jinja")
    return template.render(**told, effort=effort, quick=quick, sources=sources)


def _sources(file: Path) -> str:
    return "; ".join(f"`{name}` {each.source}" for name, each in tables(file).items())
