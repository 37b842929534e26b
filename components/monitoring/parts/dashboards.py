"""Typed reader of ``dashboards.yaml``, and the same dashboards as files for Grafana."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from ruamel.yaml import YAML

TABLE = Path(__file__).parent / "dashboards.yaml"

Unit = Literal["ratio", "seconds", "bytes", "bytes/s", "requests/s", "runs", "count"]

# https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
_GRAFANA_UNITS: Mapping[Unit, str] = {
    "ratio": "percentunit",
    "seconds": "s",
    "bytes": "bytes",
    "bytes/s": "Bps",
    "requests/s": "reqps",
    "runs": "short",
    "count": "short",
}
_GRAFANA_COLUMNS = 24
_PANEL_HEIGHT = 8
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Query(_Part):
    """A PromQL expression. ``by`` names the label that tells its series apart, ``legend`` its only series."""

    expr: str
    by: str = ""
    legend: str = ""

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if bool(self.by) == bool(self.legend):
            raise ValueError(f"{self.expr} needs one of `by` and `legend`")
        return self


class Panel(_Part):
    """A plot."""

    title: str
    unit: Unit
    queries: tuple[Query, ...] = Field(min_length=1)


class Row(_Part):
    """Panels that belong together."""

    title: str
    panels: tuple[Panel, ...] = Field(min_length=1)


class Dashboard(_Part):
    """A page of plots."""

    title: str
    about: str
    rows: tuple[Row, ...]


@lru_cache(maxsize=1)
def load() -> Mapping[str, Dashboard]:
    """Return the dashboards by name.

    Raises:
        pydantic.ValidationError: The file is wrong (a defect of Terrace).
    """
    found: Any = YAML(typ="safe", pure=True).load(TABLE.read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, Dashboard]).validate_python(found)


def grafana(name: str) -> dict[str, Any]:
    """Return dashboard ``name`` in the form that Grafana (9 and later) imports; it asks for the data source."""
    dashboard = load()[name]
    variable = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": f"terrace-{name}",
        "title": f"Terrace: {dashboard.title}",
        "description": dashboard.about,
        "tags": ["terrace"],
        "schemaVersion": 37,
        "version": 1,
        "editable": True,
        "timezone": "",
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [variable]},
        "annotations": {"list": []},
        "panels": list(_grafana_panels(dashboard)),
    }


def _grafana_panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    number, top = 1, 0
    for row in dashboard.rows:
        place = {"x": 0, "y": top, "w": _GRAFANA_COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "gridPos": place, "collapsed": False, "panels": []}
        width = _GRAFANA_COLUMNS // len(row.panels)
        for column, panel in enumerate(row.panels):
            number += 1
            place = {"x": column * width, "y": top + 1, "w": width, "h": _PANEL_HEIGHT}
            yield _grafana_panel(number, panel, place)
        number, top = number + 1, top + 1 + _PANEL_HEIGHT


def _grafana_panel(number: int, panel: Panel, place: Mapping[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": _DATASOURCE,
            "expr": query.expr,
            "legendFormat": f"{{{{{query.by}}}}}" if query.by else query.legend,
            "range": True,
        }
        for index, query in enumerate(panel.queries)
    ]
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": _GRAFANA_UNITS[panel.unit], "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": targets,
    }
