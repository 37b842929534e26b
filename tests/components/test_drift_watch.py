"""The watch over kept predictions: rows from records, and its pages. What Evidently does is tested on a platform."""

from __future__ import annotations

import json
import threading
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from components.drift.programs.drift_watch import pages, rows
from components.drift.programs.drift_watch.quality import Limits
from components.drift.programs.drift_watch.settings import Settings


def tensor(name: str, data: list[Any] | None, *shape: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "data": data, **more}


def test_rows_of_several_requests_become_one_table() -> None:
    table = rows.columns(
        [
            ([tensor("x", [1.0, None], 2, 1), tensor("c", ["a", "b"], 2, 1)], [tensor("output-1", [0.1, 0.2], 2, 1)]),
            ([tensor("x", [3.0], 1, 1), tensor("new", [9], 1)], [tensor("output-1", [0.3], 1)]),
        ]
    )
    assert table == {
        "prediction": [0.1, 0.2, 0.3],
        "x": [1.0, None, 3.0],
        "c": ["a", "b", None],
        "new": [None, None, 9],
    }


def test_masked_inputs_and_tensors_do_not_count() -> None:
    inputs = [
        tensor("email", None, 2, 1, masked="pii"),
        tensor("place", ["8f", "8f"], 2, 1, masked="confidential"),
        tensor("image", [1, 2, 3, 4], 2, 2),
    ]
    assert rows.columns([(inputs, [tensor("output-1", [1, 2], 2, 1)])]) == {"prediction": [1, 2]}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (tensor("o", [0.9, 0.1, 0.4, 0.6], 2, 2), [0.1, 0.6]),
        (tensor("o", [[0.9, 0.1], [0.4, 0.6]], 2, 2), [0.1, 0.6]),
        (tensor("o", [0.1, 0.7, 0.2], 1, 3), ["1"]),
        (tensor("o", ["yes"], 1, 1), ["yes"]),
        (tensor("o", [], 0, 2), []),
    ],
)
def test_a_row_has_one_prediction(output: dict[str, Any], expected: list[Any]) -> None:
    assert rows.predictions([output]) == expected
    assert rows.predictions([]) == []


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    file = pages.report_file(tmp_path, "a/b <c>", "2")
    file.parent.mkdir()
    file.write_text("<p>the report</p>")
    (tmp_path / "secret").write_text("x")
    return tmp_path


@pytest.fixture
def wanted() -> threading.Event:
    return threading.Event()


@pytest.fixture
def url(reports: Path, wanted: threading.Event) -> str:
    def take(body: bytes) -> tuple[str, dict[str, Any]]:
        return "422 Unprocessable Content", {"got": body.decode()}

    return f"http://127.0.0.1:{pages.serve(0, reports, wanted, take)}"


def get(url: str, method: str = "GET") -> str:
    with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
        text: str = answer.read().decode()
        return text


def test_the_index_leads_to_the_reports(url: str) -> None:
    index = get(url + "/")
    assert "a/b &lt;c&gt; version 2" in index
    link = index.partition('href="')[2].partition('"')[0]
    assert get(f"{url}/{link}") == "<p>the report</p>"


@pytest.mark.parametrize("path", ["/secret", "/../settings.py", "/a/b.html", "/look"])
def test_nothing_else_is_shown(url: str, path: str) -> None:
    with pytest.raises(HTTPError, match="404") as caught:
        get(url + path)
    caught.value.close()


def test_a_look_can_be_asked_for(url: str, wanted: threading.Event) -> None:
    get(url + "/look", "POST")
    assert wanted.is_set()


def test_labels_are_handed_on_and_the_answer_comes_back(url: str) -> None:
    with pytest.raises(HTTPError, match="422") as caught:
        urllib.request.urlopen(urllib.request.Request(url + "/labels", data=b"{}", method="POST"))
    assert json.loads(caught.value.read()) == {"got": "{}"}
    caught.value.close()


def test_the_index_tells_reports_on_quality_apart(url: str, reports: Path) -> None:
    (reports / "a%2Fb%20%3Cc%3E" / "2-quality.html").write_text("<p>quality</p>")
    assert "a/b &lt;c&gt; version 2, quality" in get(url + "/")


def test_metrics_and_health_are_there(url: str) -> None:
    pages.SHARE.labels("m", "2").set(0.5)
    assert 'terrace_drift_share{model="m",version="2"} 0.5' in get(url + "/metrics")
    assert get(url + "/health") == "ok\n"


def test_settings_come_from_the_environment() -> None:
    numbers = {"PORT": "1", "INTERVAL": "900", "WINDOW_HOURS": "24", "MINIMUM_ROWS": "100", "SHARE": "0.5"}
    words = {"COLUMN_DISTANCE": "0.1", "REPORTS": "r", "REGISTRY": "u", "REGISTRY_USER": "a", "ALIAS": "production"}
    limits = {"MINIMUM_LABELS": "200", "JUDGED_LABELS": "1000", "QUALITY_DROP": "0.03", "OUTCOME_SHIFT": "0.05"}
    told = {**numbers, **words, **limits, "REGISTRY_PASSWORD": "p", "LABEL_WINDOW": "week"}
    environment = {f"DRIFT_{name}": value for name, value in told.items()}
    assert Settings.read(environment).keeps is False
    keeping = environment | {"PGHOST": "127.0.0.1", "DRIFT_LABELS_USER": "u", "DRIFT_LABELS_PASSWORD": "p"}
    assert Settings.read(keeping).keeps is True
    assert Settings.read(keeping).labeller == ("u", "p")
    assert Settings.read(keeping).limits == Limits(200, 1000, 0.03, 0.05, "week")
