"""What each person of the team may do, asked of the real services; people who come, go, and lose their password."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from terrace.rights import RightsTable, includes
from terrace.spec import Role
from tests.host.conftest import ENVIRONMENT, Platform, account
from tests.host.machine import processes, program_pids, wait_for
from tests.host.people import Client, Probe, Shared, make_shared, probes, remove_shared
from tests.host.workbench import DATA, NEWCOMER, user, workbench, workbench_of

TABLE = RightsTable.load()
ROLES = get_args(Role)
CACHED_SECONDS = 30  # how long MLflow may take a password for right after it was changed
# Where a service itself asks for the account, somebody without any right in these slots has none there.
OWN_ACCOUNTS = {"tracking": ("tracking", "registry"), "registry": ("tracking", "registry"), "pipelines": ("pipelines",)}


@pytest.fixture(scope="module")
def projects(outputs: dict[str, Any]) -> Client:
    connection = outputs["connection"]
    return Client.of(outputs, connection["MLFLOW_TRACKING_USERNAME"], connection["MLFLOW_TRACKING_PASSWORD"])


@pytest.fixture(scope="module")
def shared(projects: Client) -> Iterator[Shared]:
    made = make_shared(projects)
    yield made
    remove_shared(projects, made)
    for file in Path(f"/var/lib/terrace/{ENVIRONMENT}").glob("*/**/files/md5/people/*"):
        file.unlink()


def person(outputs: dict[str, Any], name: str) -> Client:
    return Client.of(outputs, name, outputs["people"][name])


def expected(role: Role, probe: Probe) -> int:
    held = {slot: rights.right(role) for slot, rights in TABLE.slots.items()}
    if includes(held[probe.slot], probe.right):
        return probe.status
    asked = OWN_ACCOUNTS.get(probe.slot)
    return 401 if asked and all(held[slot] == "none" for slot in asked) else 403


def test_every_right_of_every_slot_is_asked_for(shared: Shared) -> None:
    assert {(probe.slot, probe.right) for probe in probes(shared)} == {
        (slot, right) for slot, rights in TABLE.slots.items() for right in rights.means
    }


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_its_rights_say_and_nothing_else(
    outputs: dict[str, Any], shared: Shared, role: Role
) -> None:
    client = person(outputs, account(role))
    found = [(probe.slot, probe.right, probe.ask(client).status_code) for probe in probes(shared)]
    assert found == [(probe.slot, probe.right, expected(role, probe)) for probe in probes(shared)]


def test_a_model_of_ones_own_is_deployed_by_somebody_else(outputs: dict[str, Any], shared: Shared) -> None:
    scientist, manager = person(outputs, "data-scientist"), person(outputs, "manager")
    name = f"{shared.model}-own"
    scientist.mlflow("POST", "registered-models/create", name=name).raise_for_status()
    try:
        version = {"name": name, "source": f"models:/{shared.model}/1"}
        scientist.mlflow("POST", "model-versions/create", **version).raise_for_status()
        alias = {"name": name, "alias": "people", "version": "1"}
        assert scientist.mlflow("POST", "registered-models/alias", **alias).status_code == 403
        assert manager.mlflow("POST", "registered-models/alias", **alias).status_code == 200
    finally:
        scientist.mlflow("DELETE", "registered-models/delete", name=name).raise_for_status()


@pytest.mark.parametrize("path", ["experiments/create", "registered-models/create", "registered-models/alias"])
@pytest.mark.parametrize(
    "api", ["/mlflow/ajax-api/2.0/mlflow/", "/mlflow//api/2.0/mlflow/", "/mlflow/api/2.0//mlflow/"]
)
def test_there_is_no_way_around(outputs: dict[str, Any], api: str, path: str) -> None:
    body = {"name": "around", "alias": "around", "version": "1"}
    answer = person(outputs, "solution-architect").ask("POST", api + path, json=body)
    assert answer.status_code in (403, 404, 405)


def test_people_make_no_connections_to_other_providers(outputs: dict[str, Any]) -> None:
    secret = {"secret_name": "around", "secret_value": {"api_key": "x"}, "provider": "openai"}
    answer = person(outputs, "ml-engineer").ask("POST", "/mlflow/api/3.0/mlflow/gateway/secrets/create", json=secret)
    assert answer.status_code == 403


def test_a_password_of_people_is_terraces_to_change(outputs: dict[str, Any]) -> None:
    client = person(outputs, "ml-engineer")
    change = {
        "username": client.user,
        "password": "my-own-password-1",
        "current_password": outputs["people"][client.user],
    }
    assert client.mlflow("PATCH", "users/update-password", **change).status_code == 403


@pytest.mark.parametrize("path", ["/", "/prometheus/api/v1/query?query=up", "/pipelines/api/pipelines", "/mlflow/"])
def test_a_persons_wrong_password_is_refused(outputs: dict[str, Any], path: str) -> None:
    assert Client.of(outputs, "ml-engineer", "wrong-password-1").ask("GET", path).status_code == 401


def test_who_has_no_role_has_no_account(platform: Platform, outputs: dict[str, Any]) -> None:
    assert set(outputs["people"]) == {account(role) for role in ROLES}
    told = platform.terrace("team", ENVIRONMENT)
    assert f"note: nobody has no role, and so gets no access to {ENVIRONMENT}" in told.stderr


def test_the_team_is_told_with_its_rights(platform: Platform) -> None:
    people = {member["name"]: member for member in platform.json("team", ENVIRONMENT)["people"]}
    assert people["ml-engineer"]["roles"] == ["ml_engineer"]
    assert people["ml-engineer"]["rights"] == TABLE.of(["ml_engineer"])


def test_no_persons_password_stands_on_the_host(outputs: dict[str, Any]) -> None:
    files = [file for root in ("/etc", "/var/log") for file in Path(root, "terrace", ENVIRONMENT).rglob("*")]
    content = b"\0".join(file.read_bytes() for file in files if file.is_file())
    assert b"ml-engineer" in content
    assert [name for name, password in outputs["people"].items() if password.encode() in content] == []


def test_a_password_is_handed_over_once(platform: Platform, outputs: dict[str, Any], tmp_path: Path) -> None:
    ask = ("credentials", ENVIRONMENT, "domain-specialist")
    assert "is shown on a terminal only" in platform.terrace(*ask, check=False).stderr
    file = tmp_path / "account.json"
    first = platform.terrace(*ask, "--file", str(file))
    given = json.loads(file.read_text(encoding="utf-8"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert given["password"] == outputs["people"]["domain-specialist"]
    assert given["password"] not in first.stdout + first.stderr
    again = platform.terrace(*ask, "--file", str(tmp_path / "again.json"), check=False)
    assert (again.returncode, (tmp_path / "again.json").exists()) == (1, False)
    assert "was handed over already" in again.stderr


def test_a_new_password_ends_the_old_one(platform: Platform, outputs: dict[str, Any], tmp_path: Path) -> None:
    before, old = program_pids(ENVIRONMENT), person(outputs, "application-developer")
    file = tmp_path / "account.json"
    platform.terrace("credentials", ENVIRONMENT, old.user, "--new", "--yes", "--file", str(file))
    new = Client.of(outputs, old.user, json.loads(file.read_text(encoding="utf-8"))["password"])
    assert (old.ask("GET", "/").status_code, new.ask("GET", "/").status_code) == (401, 200)
    wait_for(lambda: old.mlflow("GET", "registered-models/search").status_code == 401, CACHED_SECONDS + 15)
    assert new.mlflow("GET", "registered-models/search").status_code == 200
    assert program_pids(ENVIRONMENT) == before, "nothing is restarted"


@pytest.fixture
def changed_team(platform: Platform) -> Iterator[dict[str, Any]]:
    """The platform after somebody left, somebody joined, and a group was called something else."""
    before = platform.stack_file.read_text(encoding="utf-8")
    platform.edit("        data-engineer: {roles: [data_engineer]}\n", f"        {NEWCOMER}: {{}}\n")
    platform.edit("        platform: {roles:", f"        operations: {{members: [{NEWCOMER}], roles:")
    try:
        platform.terrace("up", ENVIRONMENT, "--yes")
        yield platform.outputs()
    finally:
        platform.stack_file.write_text(before, encoding="utf-8")
        platform.terrace("up", ENVIRONMENT, "--yes")


def test_people_come_and_go_without_a_restart(
    platform: Platform, outputs: dict[str, Any], projects: Client, shared: Shared, request: pytest.FixtureRequest
) -> None:
    left = person(outputs, "data-engineer")
    assert left.ask("GET", "/workbench/api/me").status_code == 200
    home, before = DATA / workbench("data_engineer"), _lasting_programs()
    admin = Client.of(outputs, "admin", outputs["credentials"]["tracking"]["password"])
    assert left.mlflow("GET", "experiments/get", experiment_id=shared.experiment).status_code == 200

    now = request.getfixturevalue("changed_team")

    assert set(outputs["people"]) - set(now["people"]) == {"data-engineer"}
    assert set(now["people"]) - set(outputs["people"]) == {NEWCOMER}
    for path in ("/", "/prometheus/api/v1/query?query=up", "/dvc/x", "/pipelines/api/pipelines", "/workbench/lab"):
        assert left.ask("GET", path).status_code == 401, path
    assert left.mlflow("GET", "experiments/get", experiment_id=shared.experiment).status_code in (401, 404)
    wait_for(lambda: left.mlflow("GET", "experiments/get", experiment_id="0").status_code == 401, CACHED_SECONDS + 15)
    users = [user["username"] for user in admin.ask("GET", "/mlflow/api/2.0/mlflow/users/list").json()["users"]]
    assert "data-engineer" not in users
    assert {NEWCOMER, "admin", "projects", "serving"} <= set(users)
    newcomer = person(now, NEWCOMER)  # a data engineer and DevOps engineer, by the group
    assert newcomer.ask("POST", "/alertmanager/api/v2/silences", json={}).status_code == 422
    assert newcomer.ask("POST", "/feast/push", json={}).status_code == 422
    assert newcomer.mlflow("GET", "experiments/get", experiment_id=shared.experiment).status_code == 200
    assert newcomer.ask("GET", "/workbench/api/me").json()["identity"]["username"] == NEWCOMER
    assert person(now, "ml-engineer").ask("GET", "/prometheus/api/v1/query?query=up").status_code == 200
    assert _lasting_programs() == before, "nothing is restarted"
    assert [process for process in processes(ENVIRONMENT) if process.user == user("data_engineer")] == []
    assert home.owner() == user("data_engineer"), "what they made stays, and nobody else's user gets it"


def _lasting_programs() -> dict[str, int]:
    """Return the programs without the workbenches of who leaves and who joins."""
    leaving, joining = workbench("data_engineer"), workbench_of(NEWCOMER)
    running = program_pids(ENVIRONMENT)
    return {name: pid for name, pid in running.items() if leaving not in name and joining not in name}
