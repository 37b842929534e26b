"""What each service of a platform is given to keep, and what it says of that by its own API."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.host.conftest import Platform, account
from tests.host.machine import wait_for
from tests.host.models import PROGRAMS, Registry, ready, request, run_program
from tests.host.people import Client
from tests.host.pipelines import FIRST, client, send

NAME = "kept"
BUILD_SECONDS = 900
ROWS = 40  # as many predictions as the watch is to compare at least
MOMENT = "2026-01-01T12:00:00Z"
FEATURES = {"features": ["scores:score"], "entities": {"person": ["ann", "bob", "nobody"]}}
NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "id": "one", "metadata": {}, "source": "6 * 7", "outputs": [], "execution_count": 1}
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
NOTEBOOK_PATH = f"/workbench/api/contents/{NAME}.ipynb"
SETTING_PATH = "/workbench/lab/api/settings/@jupyterlab/apputils-extension:themes"
SETTING = json.dumps({"theme": "JupyterLab Dark"})


class Given:
    """Data in the services of a platform."""

    def __init__(self, platform: Platform) -> None:
        outputs = platform.outputs()
        self.outputs, self._connection = outputs, outputs["connection"]
        self._environment = platform.environment
        operator, person = outputs["credentials"]["gateway"], account("data_scientist")
        self._operator = Client.of(outputs, operator["user"], operator["password"])
        self._person = Client.of(outputs, person, outputs["people"][person])
        self._registry, self._pipelines = Registry(self._connection), client(outputs)
        watch = next(str(each["probe_url"]) for each in outputs["services"] if each["slot"] == "drift")
        self._drift_metrics = watch.removesuffix("health") + "metrics"
        self._run = ""

    def give(self, folder: Path) -> None:
        """Give each service something; what takes long goes on beside the rest."""
        run_program("register_models.py", NAME, "3", connection=self._connection)
        self._registry.point(NAME, "production", "1")
        self._apply_features()
        send(self._pipelines, folder, NAME, {"name": FIRST, "command": ["echo", "was here"]})
        self._run = self._pipelines.wait(self._pipelines.start(NAME).id).id
        self._write_notebook()
        self._be_asked("1")
        wait_for(lambda: self._looked(lambda: self._report().ok), 300)
        self._registry.point(NAME, "production", "3")  # has version 1's libraries; that one's report stays as it is
        self._be_asked("3")

    def told(self) -> dict[str, Any]:
        """Return what each service says, as soon as it has loaded what it keeps."""
        gateway = urlsplit(self._connection["TERRACE_GATEWAY_URL"])
        return {
            "gateway": ssl.get_server_certificate((str(gateway.hostname), gateway.port or 443)),
            "feast": self._ok(self._operator.ask("POST", "/feast/get-online-features", json=FEATURES)).json(),
            "airflow": self._runs(),
            "workbench": self._notebook(),
            "mlserver": self._answer("3"),
            "evidently": [self._report().text, self._compared()],
        }

    def _ok(self, answer: requests.Response) -> requests.Response:
        assert answer.ok, answer.text
        return answer

    def _apply_features(self) -> None:
        configuration = Path("/etc/terrace", self._environment, "feast", "feature_store.yaml")
        user = f"terrace-{self._environment}-feast"
        home = f"/var/lib/terrace/{self._environment}/feast"
        subprocess.run(
            [
                *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"),
                *(f"/opt/terrace/{self._environment}/feast/venv/bin/python", "-"),
            ],
            env={"FEAST_FS_YAML_FILE_PATH": str(configuration), "FEAST_USAGE": "False", "HOME": home},
            input=(PROGRAMS / "apply_features.py").read_text(encoding="utf-8"),
            cwd="/",
            text=True,
            check=True,
        )

    def _write_notebook(self) -> None:
        page = self._ok(self._person.ask("GET", "/workbench/lab"))
        forged = {"X-XSRFToken": page.cookies["_xsrf"].strip('"')}
        notebook = {"type": "notebook", "format": "json", "content": NOTEBOOK}
        self._ok(self._person.ask("PUT", NOTEBOOK_PATH, json=notebook, headers=forged))
        self._ok(self._person.ask("PUT", SETTING_PATH, json={"raw": SETTING}, headers=forged))

    def _notebook(self) -> list[Any]:
        notebook = self._ok(self._person.ask("GET", NOTEBOOK_PATH)).json()["content"]
        return [notebook["cells"], self._ok(self._person.ask("GET", SETTING_PATH)).json()["raw"]]

    def _runs(self) -> list[Any]:
        """Return the run as the platform tells of it, with its log, and as Airflow itself does."""
        account = (self._connection["PIPELINES_USER"], self._connection["PIPELINES_PASSWORD"])
        airflow = Client.of(self.outputs, *account)
        self._ok(airflow.ask("GET", "/airflow/auth/login"))
        airflow.session.auth = None  # from now on the cookie counts
        found = self._ok(airflow.ask("GET", "/airflow/api/v2/dags/~/dagRuns")).json()["dag_runs"]
        told = [[run["dag_id"], run["dag_run_id"], run["state"], run["start_date"], run["end_date"]] for run in found]
        run = self._pipelines.run(self._run)
        return [run.model_dump(mode="json"), self._pipelines.log(self._run, FIRST).decode(), told]

    def _be_asked(self, version: str) -> None:
        """Have a version be served and asked, and its predictions labelled."""
        wait_for(lambda: ready(self._registry, NAME, version), BUILD_SECONDS)
        self._answer(version, ROWS, version)
        labels = [{"id": version, "row": row, "label": float(version), "happened": MOMENT} for row in range(ROWS)]
        self._ok(self._operator.ask("POST", "/drift/labels", json={"model": NAME, "labels": labels}))

    def _answer(self, version: str, rows: int = 1, identifier: str | None = None) -> list[float]:
        found: list[float] = []

        def answered() -> bool:
            answer = self._operator.ask("POST", f"/serving/v2/models/{NAME}/infer", json=request(rows, identifier))
            if answer.ok and answer.json()["model_version"] == version:
                found.extend(answer.json()["outputs"][0]["data"])
            return bool(found)

        wait_for(answered, BUILD_SECONDS)
        return found

    def _report(self) -> requests.Response:
        return self._operator.ask("GET", f"/drift/{NAME}/1.html")

    def _looked(self, condition: Callable[[], bool]) -> bool:
        self._ok(self._operator.ask("POST", "/drift/look"))
        return condition()

    def _compared(self) -> dict[str, str]:
        """Return how version 3's predictions compare, and that each label has its prediction."""
        found: dict[str, str] = {}
        of_model = f'{{model="{NAME}"}}'
        all_there = {f"terrace_labels{of_model}": f"{2 * ROWS}.0", f"terrace_labels_unmatched{of_model}": "0.0"}

        def compared() -> bool:
            page = requests.get(self._drift_metrics, timeout=30).text
            found.update(re.findall(rf'(?m)^(terrace_(?:drift_drifted|labels).*model="{NAME}".*) (\S+)$', page))
            return all_there.items() <= found.items() and any('version="3"' in name for name in found)

        wait_for(lambda: self._looked(compared), 300)
        return found
