"""A matplotlib figure as SVG inside a page: classes for styles, variables for colours, words to hover over.

A page with a strict policy may hold no style attribute, so every style becomes a class of the page's one sheet.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tracekit.reports.html.palette import COLOURS, light

_TIP = "tip."
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tracekit",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": light("ink"),
    "axes.labelcolor": light("faint"),
    "axes.edgecolor": light("line"),
    "axes.facecolor": "none",
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": light("line"),
    "ytick.color": light("line"),
    "xtick.labelcolor": light("faint"),
    "ytick.labelcolor": light("ink"),
    "grid.color": light("line"),
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.0,
    "legend.handleheight": 0.9,
    "path.simplify": True,
}
_VARIABLES = {colour.light: f"var(--{name})" for name, colour in COLOURS.items()}


@contextmanager
def drawing() -> Iterator[None]:
    """Within it figures look like the report, and names in scripts that the font lacks are no warning."""
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


class StyleSheet:
    """The styles that charts use, a class each."""

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}

    def class_of(self, style: str) -> str:
        """The class of a style as matplotlib writes it."""
        plain = re.sub(r"#[0-9a-f]{6}", lambda found: _VARIABLES.get(found[0], found[0]), style)
        plain = re.sub(r"('DejaVu Sans'|DejaVu Sans)[^;]*", "var(--font)", plain)
        return self._classes.setdefault(plain, f"s{len(self._classes)}")

    def rules(self) -> str:
        """The style sheet's text."""
        return "".join(f".{name}{{{style}}}" for style, name in self._classes.items())


class Chart:
    """A figure under way, `width` x `height` inches, whose artists may be hovered over; made within `drawing`.

    One with `colours` (what they stand for, by their names) is small: such charts stand beside each other where
    there is room, under one key of their colours.
    """

    def __init__(
        self, key: str, label: str, width: float, height: float, *, colours: dict[str, str] | None = None
    ) -> None:
        self.key = key
        self.colours = colours
        self.label = label
        self.figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(self.figure)
        self._tips: list[str] = []

    def tip(self, artist: Any, words: str) -> None:
        """Has `artist` say `words` when it is pointed at."""
        artist.set_gid(f"{_TIP}{len(self._tips)}")
        self._tips.append(words)

    def svg(self, sheet: StyleSheet) -> str:
        """The element, its styles in `sheet`."""
        text = io.StringIO()
        self.figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        drawn = text.getvalue()
        drawn = drawn[drawn.index("<svg") :]
        drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
        drawn = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", drawn, flags=re.DOTALL)
        drawn = re.sub(r"<!--.*?-->", "", drawn, flags=re.DOTALL)
        drawn = re.sub(r'style="([^"]*)"', lambda found: f'class="{sheet.class_of(found[1])}"', drawn)
        drawn = re.sub(r'id="tip\.(\d+)"', self._tip_attribute, drawn)
        drawn = re.sub(r'\bid="([^"]*)"', self._id_attribute, drawn)
        drawn = re.sub(r'(url\(#|href="#)', rf"\g<1>{self.key}-", drawn)
        drawn = re.sub(r"\s*\n\s*", "\n", drawn)
        return re.sub(r"<svg[^>]*>", self._opening, drawn, count=1)

    def _tip_attribute(self, found: re.Match[str]) -> str:
        return f'data-tip="{html.escape(self._tips[int(found[1])])}"'

    def _id_attribute(self, found: re.Match[str]) -> str:
        return "" if found[1].startswith(_GROUPS) else f'id="{self.key}-{found[1]}"'

    def _opening(self, found: re.Match[str]) -> str:
        box = re.search(r'viewBox="[^"]*"', found[0])
        return f'<svg role="img" aria-label="{html.escape(self.label)}" {box[0] if box else ""}>'


_GROUPS = ("patch_", "line2d_", "text_", "axes_", "figure_", "matplotlib", "xtick_", "ytick_", "legend_",
           "PathCollection_", "PolyCollection_", "FillBetweenPolyCollection_", "LineCollection_")  # fmt: skip
"""Ids that matplotlib numbers groups by; nothing refers to them."""
