"""What the slots are given of the team's people, and what of it reaches the host."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from components.base import salted_hash
from components.pipelines.programs.intake.people import People
from components.tracking.mlflow import HASH_ROUNDS, _password_hash
from terrace.resolve import Blueprint
from terrace.rights import RightsTable
from terrace.spec import Person, Team
from terrace.targets.host import gateway_needs
from terrace.workload import Need
from tests.components.recording import Recorded, blueprint, plan
from tests.components.timer_server import InProcess

PEOPLE = {
    "engineer": Person(roles=("ml_engineer",)),
    "labeller": Person(roles=("labelling_expert",)),
    "nobody": Person(),
}


def with_people(wanted: Blueprint) -> Blueprint:
    team = Team(people=PEOPLE, groups=wanted.spec.team.groups)
    object.__setattr__(wanted, "spec", wanted.spec.model_copy(update={"team": team}))
    return wanted


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    return plan(with_people(blueprint(3, tmp_path_factory.mktemp("stack"))))


def service(planned: list[Recorded], name: str) -> dict[str, Any]:
    (found,) = [r for r in planned if r.inputs.get("role") == "service" and r.inputs["instance"] == name]
    variables: dict[str, Any] = json.loads(found.inputs["variables"])
    return variables


def live_file(planned: list[Recorded], name: str, path: str) -> str:
    return next(str(file["content"]) for file in service(planned, name)["service_live_files"] if file["path"] == path)


def test_who_has_a_role_has_a_password(planned: list[Recorded]) -> None:
    assert {r.name for r in planned if r.name.startswith("person-")} == {"person-engineer", "person-labeller"}


def test_the_gateway_knows_everybody_and_what_they_may(planned: list[Recorded]) -> None:
    accounts = live_file(planned, "gateway", "accounts")
    assert [line.partition(":")[0] for line in accounts.splitlines()] == ["terrace", "engineer", "labeller"]
    rights = re.findall(r'"(\w+) (\w+) (\w+)" 1;', live_file(planned, "gateway", "rights.conf"))
    assert [right for right in rights if right[0] == "labeller"] == [
        *(("labeller", "data_versioning", right) for right in ("read", "use", "edit")),
        *(("labeller", "drift", right) for right in ("read", "use")),
        ("labeller", "portal", "read"),
    ]
    assert ("engineer", "tracking", "manage") in rights
    assert ("engineer", "serving", "edit") not in rights


def test_a_services_own_accounts_are_those_who_may_do_something_there(planned: list[Recorded]) -> None:
    (mlflow,) = json.loads(live_file(planned, "mlflow", "people.json"))
    (airflow,) = json.loads(live_file(planned, "airflow", "people.json"))
    assert (mlflow["name"], mlflow["tracking"], mlflow["registry"]) == ("engineer", "manage", "manage")
    assert (airflow["name"], airflow["right"]) == ("engineer", "edit")


def test_no_service_is_given_a_persons_password(planned: list[Recorded]) -> None:
    given = [r.urn for r in planned if r.inputs.get("role") and "[person-" in r.inputs["variables"]]
    assert given == []


def test_another_team_restarts_nothing(planned: list[Recorded], tmp_path: Path) -> None:
    without = plan(blueprint(3, tmp_path))
    for name in ("gateway", "mlflow", "airflow"):
        before, after = service(without, name), service(planned, name)
        assert {key for key in before if before[key] != after[key]} == {"service_live_files"}


def test_every_route_that_the_gateway_guards_has_a_slot_with_rights(planned: list[Recorded]) -> None:
    services = [json.loads(r.inputs["variables"]) for r in planned if r.inputs.get("role") == "service"]
    routes = [route for variables in services for route in variables["service_routes"] if route["auth"] == "gateway"]
    table = RightsTable.load()
    assert routes
    for route in routes:
        assert route["slot"] in table.slots, route["path"]
        needed = {need["right"] for need in route["needs"]}
        assert needed <= set(table.slots[route["slot"]].means), f"{route['path']} needs rights that nobody has"


def test_what_requests_need_is_told_by_method_and_whole_path() -> None:
    first, second = gateway_needs("/a.b/", (Need("read", ("GET", "POST"), "x"), Need("edit")))

    assert (first["right"], second["right"]) == ("read", "edit")
    assert re.search(first["request"], "POST /a.b/x")
    assert not re.search(first["request"], "POST /a.b/x/y")
    assert not re.search(first["request"], "POST /aab/x")
    assert not re.search(first["request"], "PUT /a.b/x")
    assert re.search(second["request"], "PUT /a.b/x/y")


def test_mlflows_hash_is_werkzeugs() -> None:
    method, salt, digest = _password_hash("engineer", "a-password").split("$")

    assert method == f"pbkdf2:sha256:{HASH_ROUNDS}"
    assert digest == hashlib.pbkdf2_hmac("sha256", b"a-password", salt.encode(), HASH_ROUNDS).hex()
    assert salt != _password_hash("scientist", "a-password").split("$")[1]


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The pipelines service with three people; requests are sent by (user, password)."""
    root = tmp_path_factory.mktemp("timer")
    file = root / "people.json"
    rights = {"reader": "read", "user": "use", "editor": "edit"}
    people = [
        {"name": name, "right": right, **salted_hash("pipelines", name, f"{name}-pw")} for name, right in rights.items()
    ]
    file.write_text(json.dumps(people))
    server = InProcess(root)
    server.settings["PIPELINES_PEOPLE"] = str(file)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("GET", "/api/pipelines", (200, 200, 200)),
        ("GET", "/api/runs/none/log", (404, 404, 404)),
        ("POST", "/api/pipelines/none/runs", (403, 404, 404)),
        ("POST", "/api/runs/none/cancel", (403, 404, 404)),
        ("PUT", "/api/pipelines/none", (403, 403, 400)),
        ("DELETE", "/api/pipelines/none", (403, 403, 404)),
    ],
)
def test_the_pipelines_service_keeps_rights(
    pipelines: InProcess, method: str, path: str, statuses: tuple[int, ...]
) -> None:
    import requests

    found = [
        requests.request(method, pipelines.url + path, auth=(name, f"{name}-pw"), timeout=10).status_code
        for name in ("reader", "user", "editor")
    ]
    assert tuple(found) == statuses


def test_the_file_of_people_is_read_again_when_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "people.json"
    file.write_text(json.dumps([{"name": "user", "right": "use", **salted_hash("pipelines", "user", "pw")}]))
    people = People(file)
    assert people.right(b"user:pw") == "use"
    assert people.right(b"user:wrong") is None
    assert people.right(b"other:pw") is None

    new = tmp_path / "new.json"
    new.write_text("[]")
    new.replace(file)

    assert people.right(b"user:pw") is None
    assert People(None).right(b"user:pw") is None
    assert people.right(base64.b64decode("/w==")) is None
