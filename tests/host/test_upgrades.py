"""Services come to another version with data in them, and back where they allow it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from components.workbench.jupyterlab import service_name
from terrace import config, upgrades
from terrace.backup import Agent, Request
from terrace.catalog import Catalog
from terrace.errors import TerraceError
from terrace.resolve import resolve
from tests.host.conftest import ENVIRONMENT, PORT_SHIFT, Platform, account, make_project
from tests.host.given import ROWS, Given
from tests.host.machine import wait_for
from tests.host.power import begin, cut
from tests.host.releases import earlier, installed, pinned

pytestmark = pytest.mark.drill

SMALL = f"{ENVIRONMENT}-up"
SHIFT = PORT_SHIFT + 700
SLOTS = (
    *("gateway", "database", "artifact_store", "tracking", "registry", "serving", "pipelines"),
    *("feature_store", "drift", "backup"),
)
WORKBENCH = service_name(account("data_scientist"), f"terrace-{SMALL}-")
PARTS = ("workbench/workbench-service", f"workbench/{WORKBENCH}-service")  # one person's is enough
SHARED = ("**::authority", "**::person-*", "**::base")  # what all slots have in common
TARGETS = tuple(word for target in (*SLOTS, *PARTS, *SHARED) for word in ("--target", target))
# Service → the package whose version is its own.
FOR_GOOD = {"mlflow": "mlflow", "airflow": "apache-airflow-core"}
BACK = {"feast": "feast", "mlserver": "mlserver", "evidently": "evidently", "workbench": "jupyterlab"}
TOOLS = {"gateway": "cryptography"}  # makes its certificates; the service's version is Debian's
ALL = {**FOR_GOOD, **BACK, **TOOLS}
BEFORE, NOW = ({service: pinned(service, package)[number] for service, package in ALL.items()} for number in (0, 1))
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'mlflow' AND wait_event_type = 'Lock'"
# Others read which schema is there, and nobody notes another one: the migration has begun, and waits.
HOLD = "BEGIN; LOCK TABLE alembic_version IN SHARE MODE; SELECT pg_sleep(900)"


@dataclass(frozen=True)
class MLflow:
    """A small platform's MLflow and its database, asked on this machine."""

    environment: str

    def call(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """Call its API as its administrator."""
        settings = json.loads(Path(f"/etc/terrace/{self.environment}/mlflow/environment.json").read_text())
        admin = next(one for one in json.loads(settings["MLFLOW_ACCOUNTS"]) if one["admin"])
        given: dict[str, Any] = {"params": content} if method == "GET" else {"json": content}
        url = f"http://127.0.0.1:{15000 + SHIFT}/api/2.0/mlflow/{path}"
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, url, auth=(admin["name"], admin["password"]), timeout=60, **given)
        document: dict[str, Any] = answer.json()
        return document

    def log(self, name: str) -> str:
        """Log a run with a parameter, in an experiment of its own, and return its id."""
        experiment = self.call("POST", "experiments/create", name=name)["experiment_id"]
        run: str = self.call("POST", "runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
        self.call("POST", "runs/log-parameter", run_id=run, key="depth", value="7")
        return run

    def has(self, run: str) -> bool:
        """Tell whether a run is there, as it was logged."""
        found = self.call("GET", "runs/get", run_id=run).get("run", {})
        return bool(found) and found["data"]["params"] == [{"key": "depth", "value": "7"}]

    def psql(self, statement: str) -> list[str]:
        """Return the command that runs a statement as the database server's superuser."""
        user = f"terrace-{self.environment}-postgres"
        where = f"/var/lib/terrace/{self.environment}/postgres/socket"
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return [*become, "psql", "-XAtq", "-h", where, "-p", str(15432 + SHIFT), "-d", "mlflow", "-c", statement]

    def is_waited_for(self) -> bool:
        """Tell whether a migration waits."""
        noted = Path(f"/var/lib/terrace/{self.environment}/versions/mlflow").read_text(encoding="ascii").strip()
        if noted != NOW["mlflow"]:  # it hasn't come that far, and the server needn't be asked
            return False
        return subprocess.run(self.psql(WAITING), capture_output=True, text=True, check=True, cwd="/").stdout != "0\n"


def _running() -> dict[str, str]:
    """Return the versions that are installed."""
    return {service: installed(SMALL, service, package) for service, package in ALL.items()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """An environment of the slots that have locks of their own, which an earlier release brings up."""
    project = make_project(tmp_path_factory.mktemp("upgrades"), SMALL, SHIFT)
    project.edit("drift: {flavor: evidently,", f"drift: {{flavor: evidently, minimum_rows: {ROWS},")
    try:
        yield project
    finally:
        project.terrace("destroy", SMALL, "--yes", "--delete-data")
        shutil.rmtree(f"/var/backups/terrace/{SMALL}", ignore_errors=True)


@pytest.fixture(scope="module")
def release(small: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The same environment, as the earlier release drives it; it is up."""
    before = earlier(small, tmp_path_factory.mktemp("earlier"), *ALL)
    before.terrace("up", SMALL, "--yes", *TARGETS)
    assert _running() == BEFORE
    return before


@dataclass(frozen=True)
class Upgraded:
    """What was given before the upgrade, what was told of it, and the backup that the upgrade made first."""

    given: Given
    told: dict[str, Any]
    run: str
    backup: str


@pytest.fixture(scope="module")
def upgraded(small: Platform, release: Platform, tmp_path_factory: pytest.TempPathFactory) -> Upgraded:
    """An upgrade of all, in the middle of whose migration of MLflow everything is killed, and which is run again."""
    mlflow, agent, given = MLflow(release.environment), Agent(SMALL, "backup"), Given(release)
    given.give(tmp_path_factory.mktemp("bundle"))
    run, told = mlflow.log("before"), given.told()
    wait_for(lambda: bool(agent.backups()), 300)  # the first one, which the service makes by itself
    known = [one["id"] for one in agent.backups()]
    with subprocess.Popen(mlflow.psql(HOLD), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/") as held:
        up = begin(small, "up", SMALL, "--yes", *TARGETS)
        try:
            wait_for(lambda: mlflow.is_waited_for() or up.poll() is not None, 600)
            assert up.poll() is None, up.communicate()[0]
            cut(SMALL, up)
        finally:
            held.kill()
    said = small.terrace("up", SMALL, "--yes", *TARGETS).stdout
    assert "mlflow:" not in said, "it's on its way already"
    made = [one["id"] for one in agent.backups() if one["id"] not in known]
    assert made, "one was made before; another one may follow the power cut"
    return Upgraded(given, told, run, made[0])


@pytest.mark.usefixtures("release")
def test_each_move_is_said_before(small: Platform) -> None:
    blueprint = resolve(config.load(small.root, SMALL))
    assert upgrades.software(blueprint, Catalog(), blueprint.hosts[0].name).keys() == {*FOR_GOOD, *BACK}
    plan = {each["service"]: each for each in small.json("preview", SMALL, *TARGETS)["versions"]}
    assert {service: (each["before"], each["after"]) for service, each in plan.items()} == {
        service: (BEFORE[service], NOW[service]) for service in (*FOR_GOOD, *BACK)
    }
    assert {service for service, each in plan.items() if each["is_for_good"]} == set(FOR_GOOD)


def test_a_migration_that_everything_was_killed_in_is_finished(upgraded: Upgraded) -> None:
    assert _running() == NOW
    assert MLflow(SMALL).has(upgraded.run)


def test_what_every_service_was_given_is_there_after_the_upgrade(upgraded: Upgraded) -> None:
    assert upgraded.given.told() == upgraded.told


@pytest.mark.parametrize(("service", "package"), FOR_GOOD.items())
def test_what_cannot_go_back_is_refused_with_the_way_back(
    small: Platform, upgraded: Upgraded, tmp_path: Path, service: str, package: str
) -> None:
    before = earlier(small, tmp_path, service)
    for command in (("preview", SMALL), ("up", SMALL, "--yes")):
        refused = before.terrace(*command, *TARGETS, check=False)
        assert refused.returncode == 2
        assert f"{service} can't go back from {package} {NOW[service]} to {BEFORE[service]}" in refused.stderr
        assert f"terrace restore {SMALL} --snapshot ID" in refused.stderr
    assert _running() == NOW
    assert MLflow(SMALL).has(upgraded.run)


def test_what_can_go_back_does_so_with_all_that_it_keeps(small: Platform, upgraded: Upgraded, tmp_path: Path) -> None:
    back = earlier(small, tmp_path, *BACK, *TOOLS)
    said = back.terrace("up", SMALL, "--yes", *TARGETS).stdout
    for service, package in BACK.items():
        assert f"{service}: {package} {NOW[service]} → {BEFORE[service]}, an earlier version" in said
    assert _running() == {**BEFORE, **{service: NOW[service] for service in FOR_GOOD}}
    assert upgraded.given.told() == upgraded.told


def _restored(backup: str) -> bool:
    """Bring a backup back; False where the service makes one of its own."""
    try:
        Agent(SMALL, "backup").restore(Request(snapshot=backup))
    except TerraceError as error:
        if "is running already" in str(error):
            return False
        raise
    return True


def test_the_backup_before_leads_back(release: Platform, upgraded: Upgraded) -> None:
    mlflow = MLflow(SMALL)
    later = mlflow.log("later")
    wait_for(lambda: _restored(upgraded.backup), 300)
    release.terrace("up", SMALL, "--yes", *TARGETS)
    assert _running() == BEFORE
    assert mlflow.has(upgraded.run)
    assert not mlflow.has(later)
    assert upgraded.given.told() == upgraded.told
