"""Draws how the engines' cost grows. Needs matplotlib: ``uv run --with matplotlib==3.11.2 …``."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.figures import ROOT

PICTURE = ROOT / "docs/images/engine-growth.svg"
# The page behind the picture may be light or dark, so everything has a tone between the two.
_TEXT = "#7d8590"
_LINES = {
    ("cli", "up"): ("Pulumi CLI, up", "#d9622b", "-", "o"),
    ("cli", "preview"): ("Pulumi CLI, preview", "#d9622b", "--", "o"),
    ("embedded", "up"): ("embedded engine, up", "#2f81f7", "-", "s"),
    ("embedded", "preview"): ("embedded engine, preview", "#2f81f7", "--", "s"),
    ("floor", "preview"): ("the Pulumi SDK alone", _TEXT, ":", "^"),
}
Seconds = dict[tuple[str, str], dict[int, float]]


def draw(seconds: Seconds, path: Path = PICTURE) -> None:
    """Draw seconds by the number of resources, for each (engine, operation)."""
    mpl.rcParams.update(
        {
            **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _TEXT),
            "svg.hashsalt": "engine-growth",  # the same numbers give the same file
        }
    )
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for key, (label, color, style, marker) in _LINES.items():
        if points := seconds.get(key):
            axes.loglog(points.keys(), points.values(), style, color=color, marker=marker, label=label)
    sizes = sorted({size for points in seconds.values() for size in points})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("resources")
    axes.set_ylabel("seconds")
    axes.grid(color=_TEXT, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, transparent=True, metadata={"Date": None})
