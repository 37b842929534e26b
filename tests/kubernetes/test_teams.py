"""Namespaces of teams on a real API server: whose rights count where, and what is refused there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from terrace.targets.kubernetes.cluster import Cluster
from tests.components.cluster import with_teams
from tests.components.recording import blueprint
from tests.kubernetes.world import World, steps

ANN, BOB = "ann@example.org", "bob"
SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CHANGES = ("create", "delete")
MINE = ("configmaps", "cronjobs", "deployments", "jobs", "persistentvolumeclaims", "pods", "secrets", "services")
GUARDS = ("limitranges", "networkpolicies", "resourcequotas", "rolebindings", "roles", "serviceaccounts")
GROUPS = {
    "cronjobs": "batch",
    "jobs": "batch",
    "deployments": "apps",
    "networkpolicies": "networking.k8s.io",
    "rolebindings": "rbac.authorization.k8s.io",
    "roles": "rbac.authorization.k8s.io",
}


class Teams:
    """A world with the platform's namespace, and those of two teams."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self._folder = folder
        self.ours, self.theirs = f"{world.namespace}-team-risk", f"{world.namespace}-team-ads"

    def up(self, old: str = "", new: str = "") -> dict[str, str]:
        """Bring them up with this change of the spec, and return what happened."""
        place = f"    kubernetes:\n      namespace: {self.world.namespace}\n"

        def edit(text: str) -> str:
            return with_teams(text).replace("    kubernetes:\n", place).replace(old, new)

        wanted = blueprint(3, self._folder, target="kubernetes", edit=edit)

        def program() -> None:
            Cluster(wanted, pulumi.ComponentResource("terrace:platform:Platform", "platform")).close({})

        return steps(self.world.up(program))

    def may(self, user: str, namespace: str, verb: str, resource: str) -> bool:
        """Ask the API server."""
        what = {"namespace": namespace, "verb": verb, "resource": resource, "group": GROUPS.get(resource, "")}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": what},
        }
        answer = self.world.plane.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    def make(self, kind: str, spec: dict[str, Any]) -> Any:
        """Make an object in the first team's namespace."""
        made = {"apiVersion": "v1", "kind": kind, "metadata": {"generateName": "x-"}, "spec": spec}
        return self.world.plane.request("POST", f"/api/v1/namespaces/{self.ours}/{kind.lower()}s", made)

    def remove(self) -> None:
        for namespace in (self.ours, self.theirs):
            self.world.plane.request("DELETE", f"/api/v1/namespaces/{namespace}")


@pytest.fixture
def teams(world: World, tmp_path: Path) -> Iterator[Teams]:
    found = Teams(world, tmp_path)
    yield found
    found.remove()


def _pod(security: dict[str, Any], cores: str) -> dict[str, Any]:
    container = {"name": "a", "image": "a", "securityContext": security, "resources": {"requests": {"cpu": cores}}}
    return {"containers": [container]}


def test_a_teams_people_work_in_their_own_namespace_and_nowhere_else(teams: Teams, world: World) -> None:
    assert set(teams.up().values()) == {"create"}
    assert teams.up() == {}
    for resource in MINE:
        for change in CHANGES:
            assert teams.may(ANN, teams.ours, change, resource), resource
            assert teams.may(BOB, teams.theirs, change, resource), resource
    for resource in (*MINE, *GUARDS):
        for verb in (*CHANGES, "update", "patch"):
            elsewhere = {(ANN, teams.theirs), (BOB, teams.ours), (ANN, world.namespace), (BOB, world.namespace)}
            guarded = {(ANN, teams.ours), (BOB, teams.theirs)} if resource in GUARDS else set()
            for person, namespace in elsewhere | guarded:
                assert not teams.may(person, namespace, verb, resource), (person, namespace, verb, resource)
    assert not teams.may(ANN, teams.theirs, "get", "secrets")


def test_what_is_too_much_or_not_safe_is_refused_in_it(teams: Teams) -> None:
    teams.up()
    made = teams.make("Pod", _pod(SAFE, "3"))
    assert made["spec"]["containers"][0]["resources"]["limits"] == {"memory": "512Mi"}
    for kind, spec, why in (
        ("Pod", _pod({}, "100m"), "violates PodSecurity"),
        ("Pod", _pod(SAFE, "2"), "exceeded quota: team, requested: requests.cpu=2"),
        ("Pod", {**_pod(SAFE, "100m"), "priorityClassName": "system-cluster-critical"}, "exceeded quota: no-priority"),
        ("Service", {"type": "LoadBalancer", "ports": [{"port": 80}]}, "exceeded quota: team"),
    ):
        with pytest.raises(AssertionError, match=why):
            teams.make(kind, spec)


def test_a_team_that_goes_leaves_its_data_guarded_and_reached_by_nobody(teams: Teams, world: World) -> None:
    teams.up()
    gone = teams.up("        risk: {cores: 4}\n", "")
    assert set(gone.values()) == {"delete"}
    assert not teams.may(ANN, teams.ours, "get", "pods")
    assert teams.may(BOB, teams.theirs, "create", "pods")
    left = world.plane.request("GET", f"/apis/networking.k8s.io/v1/namespaces/{teams.ours}/networkpolicies")["items"]
    assert [each["metadata"]["name"] for each in left] == ["default-deny", "team"]
    assert world.plane.request("GET", f"/api/v1/namespaces/{teams.ours}/resourcequotas/team")
    assert set(teams.up().values()) == {"create"}, "what is there is taken over"
    assert teams.may(ANN, teams.ours, "create", "pods")
