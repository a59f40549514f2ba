"""The colours of charts: a name and a variable each, whose value the style sheet chooses for light and dark.

Charts are drawn in the light colours; `inline_svg` puts the variables in their place, so no two may be alike.
"""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """One colour on white and on black."""

    light: str
    dark: str


COLOURS = {
    "ink": Colour("#1c2330", "#e6e9ef"),
    "faint": Colour("#5b6472", "#a5aebd"),
    "line": Colour("#d5dae2", "#39414f"),
    "paper": Colour("#fefefe", "#14181f"),
    "inside": Colour("#0b0d12", "#0b0d13"),
    "llm": Colour("#3b82c4", "#5fa3e0"),
    "tool": Colour("#e08a2b", "#eda44f"),
    "overlap": Colour("#9a6fb8", "#b98fd6"),
    "gap": Colour("#c3c8d1", "#8b95a5"),
    "prefill": Colour("#2f74b3", "#4a92d3"),
    "mixed": Colour("#3f9fb5", "#58bdd3"),
    "decode": Colour("#7fb8e6", "#8cc6f2"),
    "idle_transfer": Colour("#8e5ea2", "#ae7fc3"),
    "idle_imbalance": Colour("#c2475b", "#e06b7e"),
    "idle_tool_wait": Colour("#e08a2c", "#eda450"),
    "idle_client_wait": Colour("#e8c15a", "#f0cf72"),
    "idle_peer_call": Colour("#a3a850", "#bfc46c"),
    "idle_no_demand": Colour("#c9ced6", "#8f99a8"),
    "starting": Colour("#6fae74", "#86c78b"),
    "off": Colour("#edeff2", "#262c36"),
    "isolated": Colour("#7d8794", "#8f9aa9"),
    "instruction": Colour("#6c8fc4", "#7c9fd4"),
    "few_shot": Colour("#8f79b5", "#ab96d0"),
    "user": Colour("#4f9d69", "#6fbd89"),
    "llm_history": Colour("#6ba9d8", "#82bde9"),
    "tool_history": Colour("#e0a03a", "#edb45a"),
    "output": Colour("#c25b56", "#de7b76"),
    "series_0": Colour("#1c2331", "#e6e9ee"),
    "series_1": Colour("#3b82c5", "#5fa3e1"),
    "series_2": Colour("#d1692f", "#ea8850"),
    "series_3": Colour("#3f9a6d", "#5fbd8d"),
    "series_4": Colour("#9a5fb0", "#b981cf"),
    "series_5": Colour("#b8902a", "#d4ad49"),
}
SERIES = 5


def light(name: str) -> str:
    """The colour as charts are drawn in."""
    return COLOURS[name].light


def series(index: int) -> str:
    """The name of a line's colour: 0 is what was recorded, then the replays; beyond the last they come again."""
    return "series_0" if index == 0 else f"series_{(index - 1) % SERIES + 1}"


def variables(of_dark: bool) -> str:
    """The style sheet's declarations."""
    return "".join(
        f"--{name}:{colour.dark if of_dark else colour.light};" for name, colour in COLOURS.items()
    )


def series_rules() -> str:
    """The style sheet's rules for patches in the colours of lines, a class each."""
    return "".join(f".{name}{{background:var(--{name})}}" for name in COLOURS if name.startswith("series_"))
