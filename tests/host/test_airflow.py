"""Airflow as the pipelines' flavor: what it adds to the contract, its pages, and what it survives."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from terrace.pipelines import PipelineClient, PipelinesError
from tests.host.conftest import ENVIRONMENT, PORT_SHIFT, Platform, account
from tests.host.machine import listeners, processes, program_pids, wait_for
from tests.host.pipelines import (
    FIRST,
    LASTING,
    assert_failed_after_a_retry,
    client,
    each_minute,
    remove,
    retried_then_failing,
    send,
)

NAME, LONG = "small", "long"


@pytest.fixture(scope="module")
def scheduled(pipelines: PipelineClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A pipeline that runs every minute."""
    with each_minute(pipelines, tmp_path_factory.mktemp("scheduled")) as name:
        yield name


def test_it_is_bounded(scheduled: str) -> None:
    ours = [process for process in processes(ENVIRONMENT) if process.user.endswith("-airflow")]
    # The service, Airflow's three, a worker for each core, and what carries out the scheduled pipeline.
    assert 4 < len(ours) <= 4 + 4 * len(os.sched_getaffinity(0))
    assert {15091 + PORT_SHIFT, 15092 + PORT_SHIFT} <= listeners(ENVIRONMENT).keys()


def test_steps_are_retried_and_a_failed_one_ends_the_run(pipelines: PipelineClient, tmp_path: Path) -> None:
    send(pipelines, tmp_path, NAME, *retried_then_failing())
    assert_failed_after_a_retry(pipelines, NAME)


class Airflow:
    """Airflow's own pages behind the gateway, as one person sees them."""

    def __init__(self, outputs: dict[str, Any], name: str, password: str) -> None:
        connection = outputs["connection"]
        self._url = connection["TERRACE_GATEWAY_URL"] + "/airflow"
        self._session = requests.Session()
        self._session.trust_env = False  # this machine's own proxy and CAs
        self._session.verify = connection["TERRACE_CA_FILE"]
        entered = self._session.get(f"{self._url}/auth/login", auth=(name, password), allow_redirects=False, timeout=30)
        self.entered = entered.status_code

    def ask(self, method: str, path: str, **body: Any) -> int:
        """Return the status of a request, for which the cookie of the login counts."""
        answer = self._session.request(method, self._url + path, json=body or None, timeout=30)
        assert "Terrace-Account" not in answer.headers, "that is for the gateway"
        return answer.status_code


def test_people_may_do_in_airflow_what_their_rights_say(outputs: dict[str, Any], pipelines: PipelineClient) -> None:
    people = {
        name: Airflow(outputs, account(name), outputs["people"][account(name)]) for name in ("manager", "data_engineer")
    }
    reader, editor = people["manager"], people["data_engineer"]
    nobody = Airflow(outputs, "manager", "wrong")
    domain = account("domain_specialist")  # has an account, and no right here
    assert [each.entered for each in (reader, editor, nobody)] == [303, 303, 401]
    assert Airflow(outputs, domain, outputs["people"][domain]).entered == 401
    unpaused = {"is_paused": False}
    asked = [
        (who.ask("GET", "/api/v2/dags"), who.ask("PATCH", f"/api/v2/dags/{NAME}", **unpaused))
        for who in (reader, editor, nobody)
    ]
    assert asked == [(200, 403), (200, 200), (401, 401)]
    assert editor.ask("GET", "/execution/health") == 404, "what tasks use is not for people"
    with pytest.raises(PipelinesError) as refused:
        client(outputs, account("manager"), outputs["people"][account("manager")]).start(NAME)
    assert refused.value.status == 403


def test_what_people_do_on_its_pages_is_on_record(
    platform: Platform, outputs: dict[str, Any], pipelines: PipelineClient
) -> None:
    editor, reader = account("data_engineer"), account("manager")
    started, paused = f"/api/v2/dags/{NAME}/dagRuns", f"/api/v2/dags/{NAME}"
    pages = {name: Airflow(outputs, name, outputs["people"][name]) for name in (editor, reader)}
    for person in pages.values():
        person.ask("POST", started, logical_date=None, note="of the audit")
        person.ask("PATCH", paused, is_paused=False)
        person.ask("GET", f"{started}/none/taskInstances/{FIRST}/logs/1")
    forged = requests.Session()
    forged.trust_env, forged.verify, forged.auth = False, outputs["connection"]["TERRACE_CA_FILE"], ("forged", "x")
    address = outputs["connection"]["TERRACE_GATEWAY_URL"] + "/airflow"
    assert forged.get(f"{address}/api/v2/version", timeout=30).status_code == 200
    tried = {"username": editor, "password": "wr0ng-pa55word"}
    assert forged.post(f"{address}/auth/token", json=tried, timeout=30).status_code == 401

    def told() -> set[tuple[str, str, str, str]]:
        records = platform.json("audit", ENVIRONMENT, "--limit", "5000", "--since", "1h")
        return {(each["actor"], each["action"], each["object"], each["outcome"]) for each in records}

    change = f"pipelines: PATCH /airflow{paused}"
    wanted = {
        (editor, "run_pipeline", f"pipelines: {NAME}", "ok"),
        (editor, "change", change, "ok"),
        (editor, "read_data", f"pipelines: {NAME}", "failed"),  # there is no such run
        (editor, "login", "pipelines", "refused"),
        (reader, "run_pipeline", f"pipelines: {NAME}", "refused"),
        (reader, "change", change, "refused"),
    }
    wait_for(lambda: wanted <= told(), 60)
    found = told()
    assert pages.keys() <= {actor for actor, action, _, outcome in found if (action, outcome) == ("login", "ok")}
    assert not [each for each in found if each[0] == "forged"]


def test_no_secret_is_in_commands_or_logs(outputs: dict[str, Any], pipelines: PipelineClient) -> None:
    environment = Path(f"/etc/terrace/{ENVIRONMENT}/airflow/environment.json").read_text(encoding="utf-8")
    secrets = re.findall(r'"(?:AIRFLOW__\w+(?:SECRET|KEY|SECRET_KEY)|\w*PASSWORD)": "([^"]{12,})"', environment)
    assert len(secrets) >= 5
    commands = " ".join(process.command for process in processes(ENVIRONMENT))
    places = [
        Path("/var/log/terrace", ENVIRONMENT),
        *(Path("/var/lib/terrace", ENVIRONMENT, "airflow", x) for x in ("logs", "runs")),
    ]
    logs = "".join(file.read_text(errors="replace") for place in places for file in place.rglob("*") if file.is_file())
    assert [secret[:4] for secret in secrets if secret in commands or secret in logs] == []


def test_a_run_goes_on_after_everything_was_killed(
    platform: Platform, pipelines: PipelineClient, tmp_path: Path
) -> None:
    send(pipelines, tmp_path, LONG, {"name": FIRST, "command": ["sh", "-c", LASTING], "retries": 1})
    run = pipelines.start(LONG)
    wait_for(lambda: pipelines.log(run.id, FIRST) == b"first\n", 60)
    before = {name: pid for name, pid in program_pids(ENVIRONMENT).items() if "-airflow-" in name}
    assert len(before) == 4
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(program_pids(ENVIRONMENT).get(name, pid) != pid for name, pid in before.items()), 60)
    wait_for(lambda: platform.terrace("status", ENVIRONMENT, check=False).returncode == 0, 120)
    wait_for(lambda: pipelines.run(run.id).ended, 240)  # the scheduler waits until its predecessor is surely dead
    ended = pipelines.run(run.id)
    assert (ended.state, ended.steps[0].attempts) == ("succeeded", 2)
    assert [process for process in processes(ENVIRONMENT) if "sleep 987" in process.command] == []


def test_a_schedule_is_airflows(outputs: dict[str, Any], pipelines: PipelineClient, scheduled: str) -> None:
    # Those that were killed have failed: they have no retries.
    wait_for(lambda: any(run.state == "succeeded" for run in pipelines.runs(scheduled)), 120)
    run = next(run for run in pipelines.runs(scheduled) if run.state == "succeeded")
    assert run.trigger == "schedule"
    assert pipelines.log(run.id, FIRST) == b"[e-mail address]\n"
    page = requests.get(f"http://127.0.0.1:{15091 + PORT_SHIFT}/metrics", timeout=30).text
    assert re.search(rf'terrace_pipeline_last_success_timestamp_seconds{{pipeline="{scheduled}"}} \d', page)
    assert f'terrace_pipeline_last_run_succeeded{{pipeline="{NAME}"}} 0.0' in page


def test_removed_is_removed(pipelines: PipelineClient) -> None:
    for name in (NAME, LONG):
        remove(pipelines, name)
