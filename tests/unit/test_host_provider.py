"""The dynamic provider of the host target, with Ansible out of the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from terrace import host_ansible
from terrace.errors import OperationError
from terrace.host_provider import ANSIBLE, HostProvider, content_digest

PROPS = {
    "host": json.dumps({"name": "here", "connection": "local"}),
    "environment": "test",
    "role": "service",
    "instance": "mlflow",
    "variables": json.dumps({"port": 5432, "nothing": None}),
    "content": "c1",
    "drifted": False,
}
ID = "here/test/service/mlflow"


class Ansible:
    """Records what it was asked; says what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.changes = 0
        self.converged = True
        self.up = True

    def converge(self, task: host_ansible.Task) -> int:
        self.asked.append(("converge", task))
        return self.changes

    def check(self, task: host_ansible.Task) -> int:
        self.asked.append(("check", task))
        return self.changes

    def remove(self, task: host_ansible.Task, *, delete_data: bool) -> int:
        self.asked.append(("remove", delete_data))
        return self.changes

    def is_converged(self, _task: host_ansible.Task) -> bool:
        return self.converged

    def is_up(self, _task: host_ansible.Task) -> bool:
        return self.up


@pytest.fixture
def ansible(monkeypatch: pytest.MonkeyPatch) -> Ansible:
    recorder = Ansible()
    for name in ("converge", "check", "remove", "is_converged", "is_up"):
        monkeypatch.setattr(host_ansible, name, getattr(recorder, name))
    return recorder


def test_create_converges_and_its_id_is_the_same_every_time(ansible: Ansible) -> None:
    first, second = HostProvider().create(PROPS), HostProvider().create(PROPS)
    assert first.id == second.id == ID
    assert first.outs == PROPS
    ((what, task), _) = ansible.asked
    assert what == "converge"
    assert (task.role, task.instance, task.variables) == ("service", "mlflow", {"port": 5432, "nothing": None})


@pytest.mark.usefixtures("ansible")
def test_nothing_changed_is_no_change() -> None:
    assert HostProvider().diff(ID, PROPS, PROPS).changes is False


@pytest.mark.usefixtures("ansible")
@pytest.mark.parametrize(
    ("name", "replaces"),
    [("host", ["host"]), ("variables", []), ("content", []), ("environment", ["environment"]), ("role", ["role"])],
)
def test_a_change_is_found(name: str, replaces: list[str]) -> None:
    news = {**PROPS, name: json.dumps({"name": "other"})}
    found = HostProvider().diff(ID, PROPS, news)
    assert (found.changes, found.replaces) == (True, replaces)
    assert found.delete_before_replace


@pytest.mark.usefixtures("ansible")
def test_another_way_to_the_same_host_replaces_nothing() -> None:
    news = {**PROPS, "host": json.dumps({"name": "here", "connection": "ssh"})}
    found = HostProvider().diff(ID, PROPS, news)
    assert (found.changes, found.replaces) == (True, [])


@pytest.mark.usefixtures("ansible")
def test_drift_is_a_change() -> None:
    assert HostProvider().diff(ID, {**PROPS, "drifted": True}, PROPS).changes is True


def test_a_run_that_was_cut_short_is_a_change(ansible: Ansible) -> None:
    ansible.converged = False
    assert HostProvider().diff(ID, PROPS, PROPS).changes is True


def test_update_converges_with_the_new_variables(ansible: Ansible) -> None:
    news = {**PROPS, "variables": json.dumps({"port": 1})}
    updated = HostProvider().update(ID, {**PROPS, "drifted": True}, news)
    assert updated.outs == news
    assert ansible.asked[0][1].variables == {"port": 1}


@pytest.mark.parametrize(("changes", "drifted"), [(0, False), (2, True)])
def test_read_notes_what_check_mode_finds(ansible: Ansible, changes: int, drifted: bool) -> None:
    ansible.changes = changes
    read = HostProvider().read(ID, PROPS)
    assert (read.id, read.outs["drifted"]) == (ID, drifted)
    assert [what for what, _ in ansible.asked] == ["check"]


@pytest.mark.parametrize(("value", "deletes"), [("1", True), ("0", False), (None, False)])
def test_data_goes_only_when_it_is_asked_for(
    ansible: Ansible, monkeypatch: pytest.MonkeyPatch, value: str | None, deletes: bool
) -> None:
    monkeypatch.delenv("TERRACE_DELETE_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("TERRACE_DELETE_DATA", value)
    HostProvider().delete(ID, PROPS)
    assert ansible.asked == [("remove", deletes)]


def test_the_mark_stands_for_everything_that_is_compared(ansible: Ansible) -> None:
    HostProvider().create(PROPS)
    for name in ("host", "environment", "role", "instance", "variables", "content"):
        HostProvider().create({**PROPS, name: json.dumps({"name": f"other {name}"})})
    digests = [task.digest for _, task in ansible.asked]
    assert len(set(digests)) == len(digests)


def test_a_roles_content_is_all_that_its_run_depends_on() -> None:
    roles = sorted(folder.name for folder in (ANSIBLE / "roles").iterdir())
    assert len({content_digest(role) for role in roles if role not in ("manifest", "service")}) == len(roles) - 2
    assert len(content_digest("base")) == 64


def test_an_error_of_the_host_is_passed_on(ansible: Ansible, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_task: host_ansible.Task) -> int:
        raise OperationError("no", where="here", why="because")

    monkeypatch.setattr(host_ansible, "converge", fail)
    with pytest.raises(OperationError, match="no"):
        HostProvider().create(PROPS)
    assert ansible.asked == []


def test_what_is_down_is_brought_up_again(ansible: Ansible) -> None:
    assert HostProvider().diff(ID, PROPS, PROPS).changes is False
    ansible.up = False
    assert HostProvider().diff(ID, PROPS, PROPS).changes is True
