"""The portal: what its page says, and what its server answers."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from components.monitoring.parts import consoles
from components.portal import pages
from components.portal.programs.portal import HealthOfAll, Server
from terrace import config, stackfile, status
from terrace.catalog import Catalog
from terrace.explain import explain
from terrace.resolve import Blueprint, resolve
from terrace.tiers import TierTable
from tests.components.recording import plan

SPEC = """\
config:
  terrace:tier: 3
  terrace:target: host
  terrace:platform:
    team:
      people:
        ann: {email: ann@example.org, roles: [manager]}
        bob: {}
      groups:
        science: {roles: [data_scientist], members: [ann, bob]}
    use_cases:
      flights:
        goal: Tell <b>passengers</b> early enough.
        kpi: AUC
        baseline: the schedule
        owner: science
        sources: [{name: flights, class: public}]
        risk_class: minimal
        intended_use: Advice to passengers.
"""
SERVICES = [
    {"slot": "tracking", "flavor": "mlflow", "name": "mlflow", "url": "https://127.0.0.1:8443/mlflow", "healthy": True},
    {"slot": "database", "flavor": "postgres", "name": "postgres", "url": "postgresql://127.0.0.1", "healthy": False},
]


def blueprint(folder: Path, text: str = SPEC) -> Blueprint:
    file = folder / "Pulumi.case.yaml"
    file.write_text(text, encoding="utf-8")
    catalog, table = Catalog(), TierTable.load()
    return resolve(config.parse(stackfile.read(file, file.name), "local", catalog, table), table, catalog)


class Structure(HTMLParser):
    """Checks that elements are closed, and collects ids, links, and text."""

    VOID = ("meta", "link", "br", "input")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        given = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [given["href"] or ""] if tag == "a" else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_lists_services_owners_runbooks_and_practices(tmp_path: Path) -> None:
    wanted = blueprint(tmp_path)
    page = Structure(pages._page(wanted, {"services": SERVICES}))

    assert "https://127.0.0.1:8443/mlflow" in page.links
    assert "postgresql://127.0.0.1" not in page.links
    assert {"health-mlflow", "health-postgres", "summary", "alerts", "hours"} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert "mailto:ann@example.org" in page.links
    assert "Tell <b>passengers</b> early enough." in page.text, "what people wrote is no HTML"
    for name in consoles.alerts():
        assert f"/prometheus/consoles/runbooks.html#{name.lower()}" in page.links
    for cell in explain(wanted).cells:
        assert f"Tier {cell.tier}: {cell.asks} {cell.coverage}" in page.text
    (data,) = explain(wanted).data
    assert f"{data.source}\n{data.data_class}\n" in page.text
    assert "no limit" in page.text
    assert "nobody is told of alerts" in page.text
    assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []


def test_a_platform_without_people_and_use_cases_says_so(tmp_path: Path) -> None:
    page = Structure(pages._page(blueprint(tmp_path, SPEC.partition("    team:")[0]), {"services": []}))

    assert "No use case is on record" in page.text
    assert "No data is on record" in page.text
    assert "Nobody is named under team" in page.text


def test_the_portal_comes_after_all_other_slots_and_shows_every_service(tmp_path: Path) -> None:
    assert {*pages.Pages.requires, *pages.Pages.uses} == Catalog().flavors.keys() - {"portal"}
    (role,) = [one for one in plan(blueprint(tmp_path)) if one.name == "portal-service"]
    files = {one["path"]: one["content"] for one in json.loads(role.inputs["variables"])["service_files"]}
    listed = {service["name"] for service in json.loads(files["outputs.json"])["services"]}
    assert listed >= {"gateway", "postgres", "mlflow", "mlserver", "airflow", "prometheus", "feast", "portal"}


@pytest.fixture
def asked() -> list[int]:
    return []


@pytest.fixture
def address(tmp_path: Path, asked: list[int]) -> Iterator[str]:
    def examine() -> dict[str, Any]:
        asked.append(1)
        return {"services": SERVICES}

    site = tmp_path / "site"
    site.mkdir()
    for name in ("index.html", "style.css", "portal.js"):
        (site / name).write_text(f"this is {name}")
    (tmp_path / "outputs.json").write_text("secret")
    server = Server(("127.0.0.1", 0), tmp_path, HealthOfAll(examine))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def get(url: str, method: str = "GET") -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, "", error.read().decode()


def test_pages_have_their_types(address: str) -> None:
    assert get(f"{address}/") == (200, "text/html; charset=utf-8", "this is index.html")
    assert get(f"{address}/style.css") == (200, "text/css; charset=utf-8", "this is style.css")
    assert get(f"{address}/portal.js?x=1") == (200, "text/javascript; charset=utf-8", "this is portal.js")
    assert get(f"{address}/health") == (200, "text/plain; charset=utf-8", "ok\n")
    assert get(f"{address}/", "HEAD")[2] == ""


@pytest.mark.parametrize("path", ["/outputs.json", "/../outputs.json", "/site/../outputs.json", "/%2e%2e/outputs.json"])
def test_nothing_else_is_served(address: str, path: str) -> None:
    assert get(address + path)[0] == 404
    assert get(address + "/", "POST")[0] == 501


def test_health_is_asked_once_for_many(address: str, asked: list[int]) -> None:
    found = [json.loads(get(f"{address}/health.json")[2]) for _ in range(3)]

    assert [service["healthy"] for service in found[0]["services"]] == [True, False]
    assert len(asked) == 1
    metrics = get(f"{address}/metrics")[2]
    assert 'terrace_service_healthy{slot="tracking",name="mlflow"} 1' in metrics
    assert 'terrace_service_healthy{slot="database",name="postgres"} 0' in metrics


def test_what_asks_the_services_runs_without_the_rest_of_terrace(tmp_path: Path) -> None:
    shutil.copy(str(status.__file__), tmp_path / "status.py")
    asks = "import status; print(status.examine('test', {'services': []}).services)"
    command = ["/usr/bin/python3", "-S", "-c", asks]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "()\n"), done.stderr
