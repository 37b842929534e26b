"""Bar charts as SVG: small, without a library, readable in a browser and in MLflow's page of artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

ROW, BAR, LABEL, WIDTH = 22, 14, 190, 640
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2933}.t{font-weight:600;font-size:14px}.n{fill:#52606d}"
    ".b{fill:#2f6f9f}.m{fill:#b9503f}.e{stroke:#1f2933;stroke-width:1}.z{stroke:#9aa5b1;stroke-width:1}"
)


def importance(losses: Mapping[str, Mapping[str, float]]) -> str:
    """Return a chart of a model's global importance, as ``model.importance`` gives it, largest first."""
    ranked = dict(largest_first(losses))
    return bars(
        "AUC lost when a feature is shuffled",
        {name: loss["mean"] for name, loss in ranked.items()},
        {name: loss["spread"] for name, loss in ranked.items()},
    )


def largest_first(losses: Mapping[str, Mapping[str, float]]) -> list[tuple[str, Mapping[str, float]]]:
    """Return features with their losses, the most important first; a file in between sorts them by name."""
    return sorted(losses.items(), key=lambda item: -item[1]["mean"])


def bars(title: str, values: Mapping[str, float], spread: Mapping[str, float] | None = None) -> str:
    """Return a horizontal bar chart.

    Args:
        title: What the bars show, with its unit.
        values: Name → length, in the order in which they are drawn; a negative one is drawn to the left of zero.
        spread: Name → standard deviation, drawn as a line over the bar's end.
    """
    spread = spread or {}
    reach = [value + sign * spread.get(name, 0.0) for name, value in values.items() for sign in (-1, 1)]
    low, high = min([0.0, *reach]), max([0.0, *reach])
    scale = (WIDTH - LABEL - 80) / ((high - low) or 1.0)
    zero = LABEL - low * scale
    height = 40 + ROW * len(values)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}"><style>{STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/><text class="t" x="8" y="20">{escape(title)}</text>'
    ]
    for row, (name, value) in enumerate(values.items()):
        parts.append(_bar(name, value, spread.get(name, 0.0), zero, scale, 32 + row * ROW))
    parts.append(f'<line class="z" x1="{zero:.1f}" x2="{zero:.1f}" y1="28" y2="{height - 6}"/></svg>')
    return "".join(parts)


def _bar(name: str, value: float, spread: float, zero: float, scale: float, top: int) -> str:
    left, length = zero + min(0.0, value) * scale, abs(value) * scale
    end, middle = zero + value * scale, top + BAR / 2
    beyond = max(zero, end + spread * scale) + 6
    line = (
        f'<line class="e" x1="{end - spread * scale:.1f}" x2="{end + spread * scale:.1f}" y1="{middle}" y2="{middle}"/>'
    )
    return (
        f'<text x="{LABEL - 8}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>'
        f'<rect class="{"b" if value >= 0 else "m"}" x="{left:.1f}" y="{top}" width="{length:.1f}" height="{BAR}"/>'
        f'{line if spread else ""}<text class="n" x="{beyond:.1f}" y="{middle + 4}">{value:.4f}</text>'
    )
