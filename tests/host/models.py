"""Small models for the tests of serving, and clients that ask them."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from terrace.demo import find_uv
from tests.host.conftest import ROOT
from tests.host.machine import wait_for

CLIENTS = 3
PROGRAMS = Path(__file__).parent / "programs"


def run_program(program: str, *arguments: str, connection: Mapping[str, str]) -> None:
    """Run a program of ``tests/host/programs`` as a project of the platform would, in the example's environment."""
    done = subprocess.run(
        [find_uv(ROOT), "run", "--frozen", "--project", ".", "python", str(PROGRAMS / program), *arguments],
        cwd=ROOT / "examples" / "flights",
        env={**{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}, **connection},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def request(rows: int = 1, identifier: str | None = None) -> dict[str, Any]:
    """Return a request for the small model."""
    columns = {
        "x": ("FP64", "np", [0.5] * rows),
        "email": ("BYTES", "str", ["eve@example.org"] * rows),
        "place": ("BYTES", "str", ["here"] * rows),
    }
    inputs = [
        {"name": name, "shape": [rows, 1], "datatype": kind, "parameters": {"content_type": codec}, "data": data}
        for name, (kind, codec, data) in columns.items()
    ]
    body: dict[str, Any] = {"parameters": {"content_type": "pd"}, "inputs": inputs}
    return body | ({"id": identifier} if identifier else {})


class Registry:
    """MLflow's REST API by the account of projects."""

    def __init__(self, connection: Mapping[str, str]) -> None:
        self._url = connection["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = connection["TERRACE_CA_FILE"]
        self._session.auth = (connection["MLFLOW_TRACKING_USERNAME"], connection["MLFLOW_TRACKING_PASSWORD"])

    def call(self, method: str, path: str, **body: str) -> dict[str, Any]:
        """Return what the API answers."""
        sent = {"params": body} if method == "GET" else {"json": body}
        answer = self._session.request(method, self._url + path, timeout=60, **sent)  # type: ignore[arg-type]
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def tags(self, name: str, version: str) -> dict[str, str]:
        """Return a version's tags."""
        found = self.call("GET", "model-versions/get", name=name, version=version)["model_version"]
        return {tag["key"]: tag["value"] for tag in found.get("tags", ())}

    def point(self, name: str, alias: str, version: str) -> None:
        """Give a version an alias."""
        self.call("POST", "registered-models/alias", name=name, alias=alias, version=version)

    def remove(self, name: str) -> None:
        """Delete a model with its versions."""
        self.call("DELETE", "registered-models/delete", name=name)


class Clients:
    """Clients that ask a model again and again; what they got, by version, and each failure in words."""

    def __init__(self, gateway: requests.Session, url: str) -> None:
        self._gateway = gateway
        self._url = url
        self._ended = threading.Event()
        self.versions: Counter[str] = Counter()
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask for as long as this lasts, and some requests more."""
        for thread in self._threads:
            thread.start()
        try:
            wait_for(lambda: self.versions.total() + len(self.failures) > CLIENTS, 60)
            yield
            asked = self.versions.total() + len(self.failures)
            wait_for(lambda: self.versions.total() + len(self.failures) > asked + CLIENTS, 60)
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join()

    def _ask(self) -> None:
        session = requests.Session()
        session.trust_env = False
        session.verify, session.auth = self._gateway.verify, self._gateway.auth
        while not self._ended.is_set():
            try:
                answer = session.post(self._url, json=request(), timeout=60)
                answered, version = answer.json()["outputs"][0]["data"], answer.json()["model_version"]
                if answered != [float(version)]:
                    self.failures.append(f"version {version} answered {answered}")
                self.versions[version] += 1
            except (requests.RequestException, KeyError, ValueError) as error:
                self.failures.append(repr(error))


def ready(registry: Registry, name: str, version: str, place: str = "terrace.serving") -> bool:
    """Say whether the deployer serves a version; fail with its reason where it can't."""
    tags = registry.tags(name, version)
    if tags.get(f"{place}.state") == "failed":
        pytest.fail(tags[f"{place}.error"])
    return tags.get(f"{place}.state") == "ready"


class Predictions:
    """The database of kept predictions, by one of its roles."""

    def __init__(self, outputs: Mapping[str, Any], role: str) -> None:
        entries = outputs["inventory"]["all"]["hosts"]["host"]["terrace_roles"]
        made = next(plain(each["variables"]) for each in entries if plain(each["instance"]) == "predictions")
        password = next(each["password"] for each in made["postgres_database_accounts"] if each["name"] == role)
        self._command = [
            "psql",
            "-XAtq",
            "-h",
            "127.0.0.1",
            "-p",
            str(made["postgres_port"]),
            "-U",
            role,
            "predictions",
        ]
        self._variables = {"PGPASSWORD": password, "PATH": "/usr/bin:/bin"}

    def run(self, statement: str) -> subprocess.CompletedProcess[str]:
        """Run a statement."""
        return subprocess.run(
            self._command, input=statement, env=self._variables, capture_output=True, text=True, check=False
        )

    def rows(self, query: str) -> list[Any]:
        """Return a query's rows, each as JSON data."""
        done = self.run(f"SELECT row_to_json(found) FROM ({query}) found")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def plain(value: Any) -> Any:
    """Undo the marks that keep Ansible from taking a text for a template."""
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if "__ansible_unsafe" in value else {k: plain(v) for k, v in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
