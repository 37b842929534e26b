"""The pages that Prometheus serves below ``/prometheus/consoles/``: dashboards, and what to do about each alert.

Prometheus runs them as Go templates, of which they use nothing: the plots ask its API from the browser.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt

from components.monitoring.parts import dashboards
from components.monitoring.parts.dashboards import Dashboard
from components.templates import render
from terrace.workload import File

STATIC = Path(__file__).parent / "static"
RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks.md"
API = "/prometheus/api/v1/"


def files() -> Iterator[File]:
    """Yield the pages, ``index.html`` first."""
    pages = {("index" if name == "overview" else name): board for name, board in dashboards.load().items()}
    for name, board in pages.items():
        values = {"board": board, "pages": pages, "here": name, "api": API}
        yield File(f"consoles/{name}.html", _page("console.html", plots=plots(board, 2), **values))
    yield File("consoles/runbooks.html", _page("runbooks.html", pages=pages, here="runbooks", body=runbooks()))


def plots(board: Dashboard, level: int) -> str:
    """Return the panels of ``board`` as HTML, which ``charts.js`` fills; its rows have headings of ``level``."""
    return render("monitoring", "plots.html", board=board, level=level)


def asset(name: str) -> str:
    """Return the text of a file of ``static``."""
    return (STATIC / name).read_text(encoding="utf-8")


def runbooks() -> str:
    """Return ``docs/runbooks.md`` below its title as HTML; each heading has its words, in lower case, as its anchor."""
    markdown = MarkdownIt("commonmark").enable("table")
    tokens = markdown.parse(RUNBOOKS.read_text(encoding="utf-8").partition("\n")[2])
    for heading, text in itertools.pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", text.content.lower().replace(" ", "-"))
    html: str = markdown.renderer.render(tokens, markdown.options, {})
    return html


def _page(template: str, **values: object) -> str:
    return render("monitoring", template, style=asset("style.css"), script=asset("charts.js"), **values)


def alerts() -> list[str]:
    """Return the names of the alerts that have a runbook, in its order."""
    lines = RUNBOOKS.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("## ") for line in lines if line.startswith("## ")]
