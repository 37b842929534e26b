"""Airflow as the pipelines' flavor: the same contract, asked of a real one, in a small environment of its own."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from terrace.pipelines import PipelineClient, PipelinesError, make_bundle
from tests.host.conftest import ENVIRONMENT, PORT_SHIFT, Platform, account, make_project
from tests.host.machine import folders, listeners, processes, program_pids, users, wait_for

SMALL = f"{ENVIRONMENT}-af"
SHIFT = PORT_SHIFT + 500
# What tier 1 has not.
LATER = "backup|data_quality|data_versioning|drift|feature_store|portal"
NAME, LONG = "small", "long"
RETRIED = 'if [ -e "$PIPELINE_RUN_DIR/x" ]; then echo again; else touch "$PIPELINE_RUN_DIR/x"; exit 3; fi'
LASTING = (
    'if [ -e "$PIPELINE_RUN_DIR/x" ]; then echo again; else touch "$PIPELINE_RUN_DIR/x"; echo first; exec sleep 987; fi'
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of tier 1 whose pipelines run on Airflow."""
    project = make_project(tmp_path_factory.mktemp("airflow"), SMALL, SHIFT)
    text = project.stack_file.read_text(encoding="utf-8").replace("terrace:tier: 3", "terrace:tier: 1")
    text = re.sub(rf"(?m)^    ({LATER}): \{{flavor: .*\n", "", text)
    ports = f"port: {15091 + SHIFT}, web_port: {15092 + SHIFT}"
    text = re.sub(r"pipelines: \{flavor: timer, .*\}", f"pipelines: {{flavor: airflow, {ports}}}", text)
    project.stack_file.write_text(text, encoding="utf-8")
    try:
        project.terrace("up", SMALL, "--yes")
        yield project
    finally:
        project.terrace("destroy", SMALL, "--yes", "--delete-data")


@pytest.fixture(scope="module")
def made(small: Platform) -> dict[str, Any]:
    """Its outputs with the secrets among them."""
    shown: dict[str, Any] = small.json("output", SMALL, "--show-secrets")
    return shown


@pytest.fixture(scope="module")
def pipelines(made: dict[str, Any]) -> PipelineClient:
    """The client of projects."""
    return _client(made, made["connection"]["PIPELINES_USER"], made["connection"]["PIPELINES_PASSWORD"])


def _client(made: dict[str, Any], user: str, password: str) -> PipelineClient:
    connection = made["connection"]
    return PipelineClient(connection["PIPELINES_URL"], user, password, Path(connection["TERRACE_CA_FILE"]))


def _send(pipelines: PipelineClient, folder: Path, name: str, *steps: dict[str, Any], **options: Any) -> None:
    (folder / "pipeline.yaml").write_text(yaml.safe_dump({"name": name, "steps": list(steps), **options}))
    pipelines.put(name, make_bundle(folder))


@pytest.fixture(scope="module")
def scheduled(pipelines: PipelineClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pipeline that runs every minute, while all else is tried."""
    name = "each-minute"
    step = {"name": "a", "command": ["/bin/echo", "jane.doe@example.org"]}
    _send(pipelines, tmp_path_factory.mktemp("scheduled"), name, step, schedule="* * * * *")
    return name


def test_it_is_healthy_and_bounded(small: Platform, scheduled: str) -> None:
    assert small.terrace("status", SMALL, check=False).returncode == 0
    assert set(small.json("up", SMALL, "--yes")["summary"]) == {"same"}
    ours = [process for process in processes(SMALL) if process.user.endswith("-airflow")]
    # The service, Airflow's three, a worker for each core, and what carries out the scheduled pipeline.
    assert 4 < len(ours) <= 4 + 4 * len(os.sched_getaffinity(0))
    assert {15091 + SHIFT, 15092 + SHIFT} <= listeners(SMALL).keys()


def test_steps_are_retried_and_a_failed_one_ends_the_run(pipelines: PipelineClient, tmp_path: Path) -> None:
    _send(
        pipelines,
        tmp_path,
        NAME,
        {"name": "retried", "command": ["sh", "-c", RETRIED], "retries": 1},
        {"name": "shows", "command": ["sh", "-c", "echo $MLFLOW_TRACKING_PASSWORD; env | cut -d= -f1"]},
        {"name": "fails", "command": ["sh", "-c", "echo oh no; exit 4"]},
        {"name": "never", "command": ["true"]},
    )
    run = pipelines.wait(pipelines.start(NAME).id)
    assert [(step.name, step.state, step.attempts, step.exit_code) for step in run.steps] == [
        ("retried", "succeeded", 2, 0),
        ("shows", "succeeded", 1, 0),
        ("fails", "failed", 1, 4),
        ("never", "skipped", 0, None),
    ]
    assert (run.state, run.error) == ("failed", "Step fails ended with exit code 4")
    assert pipelines.log(run.id, "fails") == b"oh no\n[timer] ended with exit code 4\n"
    masked, *names = pipelines.log(run.id, "shows").decode().splitlines()
    assert masked == "***"
    assert [name for name in names if "AIRFLOW" in name or "TIMER" in name] == [], (
        "a step isn't given Airflow's secrets"
    )


class Airflow:
    """Airflow's own pages behind the gateway, as one person sees them."""

    def __init__(self, made: dict[str, Any], name: str, password: str) -> None:
        connection = made["connection"]
        self._url = connection["TERRACE_GATEWAY_URL"] + "/airflow"
        self._session = requests.Session()
        self._session.trust_env = False  # this machine's own proxy and CAs
        self._session.verify = connection["TERRACE_CA_FILE"]
        entered = self._session.get(f"{self._url}/auth/login", auth=(name, password), allow_redirects=False, timeout=30)
        self.entered = entered.status_code

    def ask(self, method: str, path: str, **body: Any) -> int:
        """Return the status of a request, for which the cookie of the login counts."""
        return self._session.request(method, self._url + path, json=body or None, timeout=30).status_code


def test_people_may_do_in_airflow_what_their_rights_say(made: dict[str, Any], pipelines: PipelineClient) -> None:
    people = {
        name: Airflow(made, account(name), made["people"][account(name)]) for name in ("manager", "data_engineer")
    }
    reader, editor = people["manager"], people["data_engineer"]
    nobody = Airflow(made, "manager", "wrong")
    domain = account("domain_specialist")  # has an account, and no right here
    assert [each.entered for each in (reader, editor, nobody)] == [303, 303, 401]
    assert Airflow(made, domain, made["people"][domain]).entered == 401
    unpaused = {"is_paused": False}
    asked = [
        (who.ask("GET", "/api/v2/dags"), who.ask("PATCH", f"/api/v2/dags/{NAME}", **unpaused))
        for who in (reader, editor, nobody)
    ]
    assert asked == [(200, 403), (200, 200), (401, 401)]
    assert editor.ask("GET", "/execution/health") == 404, "what tasks use is not for people"
    with pytest.raises(PipelinesError) as refused:
        _client(made, account("manager"), made["people"][account("manager")]).start(NAME)
    assert refused.value.status == 403


def test_no_secret_is_in_commands_or_logs(made: dict[str, Any], pipelines: PipelineClient) -> None:
    environment = Path(f"/etc/terrace/{SMALL}/airflow/environment.json").read_text(encoding="utf-8")
    secrets = re.findall(r'"(?:AIRFLOW__\w+(?:SECRET|KEY|SECRET_KEY)|\w*PASSWORD)": "([^"]{12,})"', environment)
    assert len(secrets) >= 5
    commands = " ".join(process.command for process in processes(SMALL))
    places = [
        Path("/var/log/terrace", SMALL),
        *(Path("/var/lib/terrace", SMALL, "airflow", x) for x in ("logs", "runs")),
    ]
    logs = "".join(file.read_text(errors="replace") for place in places for file in place.rglob("*") if file.is_file())
    assert [secret[:4] for secret in secrets if secret in commands or secret in logs] == []


def test_a_run_goes_on_after_everything_was_killed(small: Platform, pipelines: PipelineClient, tmp_path: Path) -> None:
    _send(pipelines, tmp_path, LONG, {"name": "lasting", "command": ["sh", "-c", LASTING], "retries": 1})
    run = pipelines.start(LONG)
    wait_for(lambda: pipelines.log(run.id, "lasting") == b"first\n", 60)
    before = {name: pid for name, pid in program_pids(SMALL).items() if "-airflow-" in name}
    assert len(before) == 4
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(program_pids(SMALL).get(name, pid) != pid for name, pid in before.items()), 60)
    wait_for(lambda: small.terrace("status", SMALL, check=False).returncode == 0, 120)
    wait_for(lambda: pipelines.run(run.id).ended, 240)  # the scheduler waits until its predecessor is surely dead
    ended = pipelines.run(run.id)
    assert (ended.state, ended.steps[0].attempts) == ("succeeded", 2)
    assert [process for process in processes(SMALL) if "sleep 987" in process.command] == []


def test_a_schedule_is_airflows(made: dict[str, Any], pipelines: PipelineClient, scheduled: str) -> None:
    # Those that were killed have failed: they have no retries.
    wait_for(lambda: any(run.state == "succeeded" for run in pipelines.runs(scheduled)), 120)
    run = next(run for run in pipelines.runs(scheduled) if run.state == "succeeded")
    assert run.trigger == "schedule"
    assert pipelines.log(run.id, "a") == b"[e-mail address]\n"
    page = requests.get(f"http://127.0.0.1:{15091 + SHIFT}/metrics", timeout=30).text
    assert re.search(rf'terrace_pipeline_last_success_timestamp_seconds{{pipeline="{scheduled}"}} \d', page)
    assert f'terrace_pipeline_last_run_succeeded{{pipeline="{NAME}"}} 0.0' in page


def test_removed_is_removed(small: Platform, pipelines: PipelineClient, scheduled: str) -> None:
    pipelines.delete(NAME)
    assert NAME not in {pipeline.name for pipeline in pipelines.pipelines()}
    small.terrace("destroy", SMALL, "--yes", "--delete-data")
    assert (folders(SMALL), users(SMALL), processes(SMALL)) == ([], [], [])
