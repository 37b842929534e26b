"""Versions in production: one beside another, in place of another, and back, while clients ask."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from terrace.pipelines import PipelineClient
from tests.host import pipelines
from tests.host.clock import Clock, clock_of
from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.machine import program_pids, wait_for
from tests.host.models import Clients, Predictions, Registry, ready, request, run_program
from tests.host.power import begin, cut

NAME = "test-of-serving"
PROMOTION = ("promote", ENVIRONMENT, NAME, "2")
BUILD_SECONDS = 900


@dataclass(frozen=True)
class Served:
    """The small model on the platform: version 1 in production, 2 beside it in libraries of its own, 3 like 1."""

    platform: Platform
    registry: Registry
    gateway: requests.Session
    url: str

    def ask(self, place: str) -> dict[str, Any]:
        """Return what is answered under a name."""
        answer = self.gateway.post(f"{self.url}v2/models/{place}/infer", json=request(), timeout=60)
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def model(self) -> dict[str, Any]:
        """Return what `terrace models` says of it."""
        found: dict[str, Any] = next(each for each in self.platform.json("models", ENVIRONMENT) if each["name"] == NAME)
        return found


@pytest.fixture(scope="module")
def served(platform: Platform, outputs: dict[str, Any], gateway: requests.Session) -> Iterator[Served]:
    connection = outputs["connection"]
    run_program("register_models.py", NAME, "3", connection=connection)
    registry = Registry(connection)
    try:
        registry.point(NAME, "candidate", "2")
        platform.terrace("promote", ENVIRONMENT, NAME, "1")
        wait_for(lambda: ready(registry, NAME, "2", "terrace.serving.candidate"), BUILD_SECONDS)
        yield Served(platform, registry, gateway, connection["SERVING_URL"])
    finally:
        registry.remove(NAME)


def test_the_candidate_answers_beside_production(served: Served) -> None:
    answers = [served.ask(place) for place in (NAME, f"{NAME}:candidate", NAME)]
    assert [answer["model_version"] for answer in answers] == ["1", "2", "1"]
    assert [answer["outputs"][0]["data"] for answer in answers] == [[1.0], [2.0], [1.0]]


def test_no_request_is_lost_and_a_rollback_takes_less_than_a_minute(served: Served) -> None:
    clients = Clients(served.gateway, f"{served.url}v2/models/{NAME}/infer")
    with clients.asking():
        promoted = served.platform.json("promote", ENVIRONMENT, NAME)
        back = served.platform.json("rollback", ENVIRONMENT, NAME)
        served.platform.terrace("promote", ENVIRONMENT, NAME, "3")
    assert clients.failures == []
    assert set(clients.versions) == {"1", "2", "3"}
    assert (promoted["version"], promoted["previous"]) == ("2", "1")
    assert (back["version"], back["previous"]) == ("1", "2")
    assert back["seconds"] < 60


def test_the_registry_says_who_moved_what(served: Served) -> None:
    model = served.model()
    assert (model["production"], model["served"], model["candidate"]) == ("3", "3", None)
    moves = [(move["version"], move["previous"], move["how"]) for move in model["history"]]
    assert moves == [("1", None, "promote"), ("2", "1", "promote"), ("1", "2", "rollback"), ("3", "1", "promote")]
    assert {move["by"] for move in model["history"]} != {"unknown"}
    shown = served.platform.terrace("models", ENVIRONMENT).stdout
    assert f"{NAME}: production 3; since " in shown


def test_the_audit_log_says_who_deployed_what(served: Served) -> None:
    def records(action: str) -> list[tuple[str, str, str]]:
        found = served.platform.json("audit", ENVIRONMENT, "--action", action)
        return [(one["source"], one["object"], one["actor"]) for one in found if NAME in one["object"]]

    by = served.model()["history"][-1]["by"]
    deployed = [("mlserver", f"serving: {NAME} version {version}", by) for version in ("1", "2", "1", "3")]
    wait_for(lambda: records("deploy")[-4:] == deployed, 60)
    assert records("rollback")[-1:] == [("operator", NAME, by)]
    assert {("operator", f"{NAME} version {which}", by) for which in ("1", "of the candidate", "3")} <= set(
        records("promote")
    )


def test_a_step_that_is_none_is_refused(served: Served) -> None:
    unknown = served.platform.terrace("rollback", ENVIRONMENT, "test-of-servin", check=False)
    assert (unknown.returncode, "did you mean 'test-of-serving'?" in unknown.stderr) == (2, True)
    absent = served.platform.terrace("promote", ENVIRONMENT, NAME, "9", check=False)
    assert (absent.returncode, "has no version '9'" in absent.stderr) == (2, True)
    served.platform.terrace("rollback", ENVIRONMENT, NAME)
    first = served.platform.terrace("rollback", ENVIRONMENT, NAME, check=False)
    assert (first.returncode, "was in production before 1" in first.stderr) == (2, True)


@pytest.fixture
def asked(served: Served) -> list[str]:
    """Ids of requests that were answered."""
    identifiers = [f"kept-{uuid.uuid4()}" for _ in range(5)]
    for identifier in identifiers:
        _ask(served, identifier)
    return identifiers


def _ask(served: Served, identifier: str) -> None:
    url = f"{served.url}v2/models/{NAME}/infer"
    answer = served.gateway.post(url, json=request(2, identifier), timeout=60)
    assert (answer.status_code, answer.json()["id"]) == (200, identifier)


def _kept(predictions: Predictions, identifiers: list[str]) -> list[Any]:
    listed = ", ".join(f"'{identifier}'" for identifier in identifiers)
    return predictions.rows(f"SELECT * FROM predictions WHERE request_id IN ({listed}) ORDER BY at")


def test_each_prediction_is_kept_as_its_class_of_data_allows(outputs: dict[str, Any], asked: list[str]) -> None:
    reader = Predictions(outputs, "predictions_reader")
    wait_for(lambda: len(_kept(reader, asked)) == len(asked), 60)
    for row, identifier in zip(_kept(reader, asked), asked, strict=True):
        assert (row["model"], row["version"], row["purpose"], row["request_id"]) == (
            NAME,
            "1",
            "production",
            identifier,
        )
        inputs = {each["name"]: each for each in row["inputs"]}
        assert inputs["x"]["data"] == [0.5, 0.5]
        assert (inputs["email"]["masked"], inputs["email"]["data"]) == ("pii", None)
        assert inputs["place"]["masked"] == "confidential"
        assert inputs["place"]["data"][0] == inputs["place"]["data"][1] != "here"
        assert row["outputs"][0]["data"] == [1.0, 1.0]


@pytest.mark.usefixtures("asked")
def test_masked_inputs_stand_nowhere_on_the_disk() -> None:
    folder = Path(f"/var/lib/terrace/{ENVIRONMENT}/mlserver/predictions")
    assert folder.is_dir()
    assert [file for file in folder.glob("*") if b"eve@example.org" in file.read_bytes()] == []


def test_the_database_of_predictions_gives_each_role_no_more_than_it_needs(outputs: dict[str, Any]) -> None:
    reader, writer = (Predictions(outputs, f"predictions_{role}") for role in ("reader", "writer"))
    assert "permission denied" in writer.run("SELECT * FROM predictions").stderr
    assert "permission denied" in writer.run("DELETE FROM predictions").stderr
    assert "permission denied" in writer.run("UPDATE predictions SET version = '0'").stderr
    assert "permission denied" in reader.run("DELETE FROM predictions").stderr
    assert "permission denied" in reader.run("SELECT expire()").stderr


@pytest.mark.drill
def test_nothing_answered_is_lost_while_the_database_is_away_and_programs_are_killed(
    served: Served, outputs: dict[str, Any]
) -> None:
    reader = Predictions(outputs, "predictions_reader")
    supervisor = ["supervisorctl", "-c", f"/etc/terrace/{ENVIRONMENT}/supervisor/supervisord.conf"]
    database = f"terrace-{ENVIRONMENT}-postgres-server"
    keeper = f"terrace-{ENVIRONMENT}-mlserver-keeper"
    identifiers = [f"kept-{uuid.uuid4()}" for _ in range(20)]
    subprocess.run([*supervisor, "stop", database], check=True, capture_output=True)
    try:
        for identifier in identifiers[:10]:
            _ask(served, identifier)
        before = program_pids(ENVIRONMENT)[keeper]
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: program_pids(ENVIRONMENT).get(keeper, before) != before, 60)
        for identifier in identifiers[10:]:
            _ask(served, identifier)
    finally:
        subprocess.run([*supervisor, "start", database], check=True, capture_output=True)
    wait_for(lambda: reader.run("SELECT 1").stdout != "", 60)
    wait_for(lambda: len(_kept(reader, identifiers)) == len(identifiers), 120)
    assert sorted(row["request_id"] for row in _kept(reader, identifiers)) == sorted(identifiers)
    wait_for(lambda: served.platform.terrace("status", ENVIRONMENT, check=False).returncode == 0, 120)


@pytest.fixture
def slow(outputs: dict[str, Any], tmp_path: Path) -> Iterator[PipelineClient]:
    """A client of pipelines, where ``slow`` is one whose only step lasts until it is tried again."""
    client = pipelines.client(outputs)
    pipelines.send(
        client, tmp_path, "slow", {"name": pipelines.FIRST, "command": ["sh", "-c", pipelines.LASTING], "retries": 1}
    )
    yield client
    pipelines.remove(client, "slow")


@pytest.fixture
def clock(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clock]:
    with clock_of(served.platform, tmp_path_factory.mktemp("clock")) as made:
        yield made


@pytest.mark.drill
def test_a_clock_that_jumps_ahead_and_back_loses_nothing(
    served: Served, outputs: dict[str, Any], clock: Clock, tmp_path: Path
) -> None:
    platform, client, reader = served.platform, pipelines.client(outputs), Predictions(outputs, "predictions_reader")
    step = {"name": pipelines.FIRST, "command": ["sh", "-c", pipelines.LASTING]}
    pipelines.send(client, tmp_path, "before", step, timeout=86400)
    identifiers, backups = [f"kept-{uuid.uuid4()}" for _ in range(3)], []
    run = client.start("before").id
    wait_for(lambda: client.log(run, pipelines.FIRST) == b"first\n", 60)
    for hours, identifier in zip((0, 6, 0), identifiers, strict=True):
        clock.set_ahead(hours)
        _ask(served, identifier)
        backups.append(platform.json("backup", ENVIRONMENT)["backup"]["id"])
        if hours:
            wait_for(lambda: client.run(run).ended, 60)  # its step was not heard of for six hours
    # Its scheduler gives it up, or begins it again, whichever comes first.
    tried_again = client.log(run, pipelines.FIRST).endswith(b"again\n")
    assert tried_again or client.run(run).error.startswith(f"Step {pipelines.FIRST} was lost")
    pipelines.send(client, tmp_path, "after", {"name": pipelines.FIRST, "command": ["true"]})
    assert client.wait(client.start("after").id).state == "succeeded"
    for name in ("before", "after"):
        pipelines.remove(client, name)

    wait_for(lambda: len(_kept(reader, identifiers)) == len(identifiers), 60)
    at = [datetime.fromisoformat(row["at"]) for row in _kept(reader, identifiers)]  # in their clock's order
    assert at[2] - at[1] > timedelta(hours=5)
    assert set(backups) <= {one["id"] for one in platform.json("backup", ENVIRONMENT, "--list")["backups"]}
    told = {one.get("detail") for one in platform.json("audit", ENVIRONMENT, "--action", "backup")}
    assert {f"backup {one}" for one in backups} <= told
    assert platform.json("audit", ENVIRONMENT, "--verify")["problems"] == []
    wait_for(lambda: platform.terrace("status", ENVIRONMENT, check=False).returncode == 0, 60)


@pytest.mark.drill
def test_a_power_cut_in_a_run_a_deployment_a_backup_and_an_up_loses_nothing(
    served: Served, slow: PipelineClient, outputs: dict[str, Any]
) -> None:
    platform, identifier = served.platform, f"kept-{uuid.uuid4()}"
    backups = platform.json("backup", ENVIRONMENT, "--list")["backups"]
    run = slow.start("slow").id
    wait_for(lambda: slow.log(run, pipelines.FIRST) == b"first\n", 60)
    before = platform.stack_file.read_text(encoding="utf-8")
    platform.edit("pipelines: {flavor: airflow,", "pipelines: {flavor: airflow, keep_runs: 35,")
    try:
        _ask(served, identifier)
        backup, promotion = (begin(platform, *words) for words in (("backup", ENVIRONMENT), PROMOTION))
        up = begin(platform, "up", ENVIRONMENT, "--yes")
        assert up.stdout
        assert any(line.startswith("start") and "pipelines/airflow-service" in line for line in up.stdout)
        cut(ENVIRONMENT, backup, promotion, up)
        platform.terrace("up", ENVIRONMENT, "--yes")
    finally:
        platform.stack_file.write_text(before, encoding="utf-8")
    wait_for(lambda: platform.terrace("status", ENVIRONMENT, check=False).returncode == 0, 120)

    wait_for(lambda: slow.run(run).ended, 240)  # Airflow looks for a minute whether its step lives
    assert slow.run(run).state == "succeeded"
    wait_for(lambda: served.model()["production"] == served.ask(NAME)["model_version"], 120)
    wait_for(lambda: len(_kept(Predictions(outputs, "predictions_reader"), [identifier])) == 1, 120)
    left = platform.json("backup", ENVIRONMENT, "--list")["backups"]
    assert [one for one in backups[-2:] if one not in left] == []  # of a day three stay, and the cut one may be one
    # The service may be catching up on its own backup.
    wait_for(lambda: platform.terrace("backup", ENVIRONMENT, check=False).returncode == 0, 300)
    platform.terrace("up", ENVIRONMENT, "--yes")
