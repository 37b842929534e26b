"""People's workbenches: each works as a system user of their own, by their own account, and sees nobody else's."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import pwd
import signal
import socket
import stat
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.host.conftest import ENVIRONMENT, account
from tests.host.machine import program_pids, wait_for
from tests.host.people import Client
from tests.host.workbench import CONFIGURATION, DATA, SOFTWARE, run, user, workbench

ROLE, OTHER = "data_scientist", "ml_engineer"
IDLE_SECONDS = 2
# What a person does in a notebook, by the variables that are there; printed as JSON.
WORK = """
import getpass, json, os, mlflow, pandas, requests
mlflow.set_experiment(EXPERIMENT)
with mlflow.start_run() as run:
    mlflow.log_param("rows", len(pandas.DataFrame({"x": [1, 2]})))
session = requests.Session()
session.auth = (os.environ["TERRACE_GATEWAY_USER"], os.environ["TERRACE_GATEWAY_PASSWORD"])
session.verify = os.environ["TERRACE_CA_FILE"]
features = os.environ["FEATURE_STORE_URL"]
asked = session.post(f"{features}get-online-features", json={"features": ["none:x"], "entities": {"none": [1]}})
push = session.post(f"{features}push", json={})
alias = session.post(
    os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/registered-models/alias",
    json={"name": "none", "alias": "production", "version": "1"},
)
print(json.dumps({
    "user": getpass.getuser(),
    "run": run.info.run_id,
    "features": [asked.status_code, asked.text],
    "refused": [push.status_code, alias.status_code],
    "variables": dict(os.environ),
}))
"""
# Tries to open each path, and tells why it could not.
PRY = """
import json, os, socket
def why_not(path):
    try:
        if path.endswith("/http"):
            socket.socket(socket.AF_UNIX).connect(path)
        else:
            os.listdir(path) if os.path.isdir(path) else open(path).close()
    except OSError as error:
        return type(error).__name__
print(json.dumps({path: why_not(path) for path in PATHS}))
"""


@pytest.fixture(scope="module")
def person(outputs: dict[str, Any]) -> Client:
    return Client.of(outputs, account(ROLE), outputs["people"][account(ROLE)])


@pytest.fixture(scope="module")
def work(outputs: dict[str, Any], person: Client) -> Iterator[dict[str, Any]]:
    """What was seen in a notebook; the experiment is removed."""
    name = f"workbench-{uuid.uuid4().hex[:8]}"
    yield json.loads(run(outputs, ROLE, f"EXPERIMENT = {name!r}\n{WORK}").splitlines()[-1])  # MLflow prints, too
    made = person.mlflow("GET", "experiments/get-by-name", experiment_name=name).json()["experiment"]
    # Its maker may, so that it was made by the person's own account.
    person.mlflow("POST", "experiments/delete", experiment_id=made["experiment_id"]).raise_for_status()


def test_code_runs_as_the_persons_own_system_user(work: dict[str, Any]) -> None:
    assert work["user"] == user(ROLE)


def test_a_run_is_logged_by_the_persons_own_account(work: dict[str, Any], person: Client) -> None:
    found = person.mlflow("GET", "runs/get", run_id=work["run"]).json()["run"]
    assert found["data"]["params"] == [{"key": "rows", "value": "2"}]
    assert work["variables"]["MLFLOW_TRACKING_USERNAME"] == person.user


def test_features_are_asked_for_and_what_needs_another_right_is_refused(work: dict[str, Any]) -> None:
    status, text = work["features"]
    assert status == 404
    assert "none" in text, "the feature server itself says what it doesn't know"
    assert work["refused"] == [403, 403]


def test_no_other_password_is_there(work: dict[str, Any], outputs: dict[str, Any], person: Client) -> None:
    own = outputs["people"][person.user]
    assert {name for name, value in work["variables"].items() if value == own} == {
        *("TERRACE_GATEWAY_PASSWORD", "MLFLOW_TRACKING_PASSWORD", "PIPELINES_PASSWORD")
    }
    others = {password for name, password in outputs["people"].items() if name != person.user}
    others |= {value for name, value in outputs["connection"].items() if "PASSWORD" in name}
    others |= {each["password"] for each in outputs["credentials"].values()}
    assert [name for name, value in work["variables"].items() if any(secret in value for secret in others)] == []


def test_nobody_elses_files_and_secrets_can_be_opened(outputs: dict[str, Any]) -> None:
    others = [
        *(str(DATA / name) for name in (workbench(OTHER), "mlflow", "postgres", "gateway")),
        *(str(CONFIGURATION / name / "environment.json") for name in ("mlflow", "airflow", "mlserver", "gateway")),
        str(CONFIGURATION / workbench(OTHER) / "environment.json"),
        str(SOFTWARE / workbench(OTHER) / "socket" / "http"),
    ]
    own = [str(DATA / workbench(ROLE)), str(SOFTWARE / workbench(ROLE) / "socket" / "http")]
    found = json.loads(run(outputs, ROLE, f"PATHS = {[*others, *own]!r}\n{PRY}"))
    assert {path: found[path] for path in others} == dict.fromkeys(others, "PermissionError")
    assert {path: found[path] for path in own} == dict.fromkeys(own), "and what is their own can be"


def test_a_home_is_saved_and_its_owners_alone(work: dict[str, Any]) -> None:
    home = DATA / workbench(ROLE)
    assert work["variables"]["HOME"] == str(home)
    assert (home.owner(), stat.S_IMODE(home.stat().st_mode)) == (user(ROLE), 0o700)
    noted = json.loads((CONFIGURATION / "manifest.d" / f"service-{workbench(ROLE)}.json").read_text(encoding="utf-8"))
    assert noted["data"] == [str(home)]
    assert "." not in noted["unsaved"]


@pytest.mark.usefixtures("work")
def test_notebooks_are_not_listened_to_by_tcp_and_have_no_debugger(outputs: dict[str, Any]) -> None:
    code = "import json, ipykernel.connect as c; from ipykernel.debugger import _is_debugpy_available as d\n"
    code += "print(json.dumps([json.loads(c.get_connection_info())['transport'], d]))"
    assert json.loads(run(outputs, ROLE, code)) == ["ipc", False]


def test_the_platforms_own_account_has_none(gateway: requests.Session, outputs: dict[str, Any]) -> None:
    answer = gateway.get(outputs["endpoints"]["workbench"] + "lab", timeout=30)
    assert answer.status_code == 404
    assert "no workbench" in answer.text


def test_requests_of_other_pages_are_refused(person: Client) -> None:
    elsewhere = {"Origin": "https://elsewhere.example"}
    assert person.ask("POST", "/workbench/api/kernels", json={}, headers=elsewhere).status_code == 404
    unknown = person.ask("POST", "/workbench/api/kernels", json={})  # as a form of another page's would be sent
    assert (unknown.status_code, "_xsrf" in unknown.text) == (403, True)


def test_no_way_leads_to_anothers_server_and_a_killed_one_comes_back(outputs: dict[str, Any], person: Client) -> None:
    other = Client.of(outputs, account(OTHER), outputs["people"][account(OTHER)])
    assert other.ask("GET", "/workbench/api/me").json()["identity"]["username"] == other.user
    door, anothers = (SOFTWARE / workbench(role) / "socket" / "http" for role in (ROLE, OTHER))
    _as_person("ln", "-sf", str(anothers), str(door))
    led = person.ask("GET", "/workbench/api/me")
    assert (led.status_code, led.json()["message"]) == (403, "this workbench is another person's")

    os.kill(program_pids(ENVIRONMENT)[f"terrace-{ENVIRONMENT}-{workbench(ROLE)}-server"], signal.SIGKILL)

    wait_for(lambda: person.ask("GET", "/workbench/api/me").status_code == 200, 90)
    assert not door.is_symlink()


def _as_person(*command: str) -> None:
    subprocess.run(
        ["setpriv", "--reuid", user(ROLE), "--regid", user(ROLE), "--clear-groups", *command], cwd="/", check=True
    )


class ByUnixSocket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket instead of a port."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


@pytest.fixture
def second_server(platform: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """One more server of the same person that soon thinks nobody works, with its socket."""
    folder = CONFIGURATION / workbench(ROLE)
    settings = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    runtime = DATA / workbench(ROLE) / ".idle"
    door = runtime / "http"
    settings |= {"WORKBENCH_IDLE_SECONDS": str(IDLE_SECONDS), "WORKBENCH_DOOR": f"unix:{door}"}
    settings |= {"JUPYTER_RUNTIME_DIR": str(runtime / "run")}
    _as_person("mkdir", "-p", str(runtime / "run"))
    number = pwd.getpwnam(user(ROLE))
    server = subprocess.Popen(
        ["/usr/bin/python3", "-I", folder / "workbench_door.py"],
        env=settings,
        cwd=runtime,
        user=number.pw_uid,
        group=number.pw_gid,
        extra_groups=[],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield server, door
    finally:
        server.kill()
        server.wait()
        _as_person("rm", "-rf", str(runtime))


def test_a_server_sleeps_until_somebody_comes_and_ends_when_nobody_works(
    outputs: dict[str, Any], second_server: tuple[Any, Path]
) -> None:
    server, door = second_server
    wait_for(door.exists, 30)
    assert Path(f"/proc/{server.pid}/exe").resolve() == Path("/usr/bin/python3").resolve()
    assert b"workbench_door.py" in Path(f"/proc/{server.pid}/cmdline").read_bytes()
    login = base64.b64encode(f"{account(ROLE)}:{outputs['people'][account(ROLE)]}".encode()).decode()
    headers = {"Authorization": f"Basic {login}"}
    page = _ask(door, "GET", "/workbench/lab", headers)
    cookie = page.headers["Set-Cookie"].split(";")[0]
    headers |= {"Cookie": cookie, "X-XSRFToken": cookie.partition("=")[2].strip('"')}
    kernel = json.loads(_ask(door, "POST", "/workbench/api/kernels", headers, "{}").content)["id"]
    assert _runs(kernel)
    server.wait(timeout=60)
    assert not _runs(kernel)


def _runs(kernel: str) -> bool:
    done = subprocess.run(["pgrep", "--full", "--euid", user(ROLE), kernel], capture_output=True, check=False)
    return done.returncode == 0


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    headers: http.client.HTTPMessage
    content: bytes


def _ask(door: Path, method: str, path: str, headers: dict[str, str], body: str | None = None) -> Answer:
    with contextlib.closing(ByUnixSocket(door)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    assert answer.status in (200, 201), content
    return Answer(answer.headers, content)
