"""The pipelines service as its users meet it, over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from terrace.pipelines import Bundle, PipelineClient, PipelinesError, StepRun, make_bundle
from tests.components.timer_server import (
    PASSWORD,
    Server,
    archive,
    members,
    project,
    python,
    run_once,
    wait_for,
)


@pytest.mark.parametrize("path", ["/api/pipelines", "/api/runs", "/nowhere"])
def test_without_the_account_nothing_is_told(shared: Server, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        shared.get(path)
    with refused.value as error:
        assert error.code == 401
        assert error.headers["WWW-Authenticate"].startswith("Basic ")
        assert json.loads(error.read())["error"]["what"] == "An account is needed"


@pytest.mark.parametrize(("user", "password"), [("pipelines", "wrong"), ("other", PASSWORD), ("", "")])
def test_a_wrong_account_is_refused(shared: Server, user: str, password: str) -> None:
    with pytest.raises(PipelinesError) as refused:
        PipelineClient(shared.url, user, password).pipelines()
    assert refused.value.status == 401


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic eA==", "Bearer x", "Basic é"])
def test_what_is_no_account_is_refused(shared: Server, header: str) -> None:
    request = urllib.request.Request(f"{shared.url}/api/pipelines", headers={"Authorization": header})
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=10).close()


def test_an_environment_that_takes_too_long_fails_the_run(server: Server, tmp_path: Path) -> None:
    slow = tmp_path / "uv"
    slow.write_text("#!/bin/sh\nexec sleep 99\n")
    slow.chmod(0o755)
    server.settings = {"PIPELINES_UV": str(slow)}
    server.start()
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "uv.lock").write_text("")
    run = run_once(server, tmp_path / "p", "p", {"name": "a", "command": ["true"]}, timeout=1)
    assert (run.state, run.error) == ("failed", "The run took longer than 1 s")

    project(tmp_path / "p", "p", {"name": "a", "command": ["true"]})
    server.client.put("p", make_bundle(tmp_path / "p"))
    run = server.client.start("p")
    wait_for(lambda: server.client.run(run.id).state == "preparing")
    server.client.cancel(run.id)
    assert server.client.wait(run.id).state == "cancelled"


def test_a_lock_without_uv_fails_the_run(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    server.start()
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "uv.lock").write_text("")
    run = run_once(server, tmp_path / "p", "p", {"name": "a", "command": ["true"]})
    assert run.error == "The bundle has a uv.lock, but the service has no uv (PIPELINES_UV)"


@pytest.mark.parametrize(
    ("bundle", "what"),
    [
        (members("../outside"), "lies outside"),
        (members("/tmp/outside"), "lies outside"),
        (members("a/../../outside"), "lies outside"),
        (members("link", tarfile.SYMTYPE, "/etc/passwd"), "neither a file nor a folder"),
        (members("link", tarfile.LNKTYPE, "pipeline.yaml"), "neither a file nor a folder"),
        (members("fifo", tarfile.FIFOTYPE), "neither a file nor a folder"),
        (members("pipeline.yaml"), "can't be unpacked"),
        (archive((tarfile.TarInfo("readme"), b"x")), "no pipeline.yaml"),
        (Bundle(b"not an archive", "", "c0ffee"), "can't be unpacked"),
        (replace(members("x"), content=members("x").content[:60]), "can't be unpacked"),
        (replace(members("x"), commit="a b"), "not a commit"),
        (members("x"), "is called 'evil', not 'good'"),
    ],
)
def test_a_bundle_that_is_not_what_it_should_be_is_refused(shared: Server, bundle: Bundle, what: str) -> None:
    with pytest.raises(PipelinesError, match=what):
        shared.client.put("good", bundle)
    assert list((shared.data / "bundles" / "incoming").iterdir()) == []
    assert "good" not in {each.name for each in shared.client.pipelines()}


def test_a_wrong_definition_is_refused_with_its_place(shared: Server) -> None:
    bundle = archive((tarfile.TarInfo("pipeline.yaml"), b"name: bad\nstep: []\n"))
    with pytest.raises(
        PipelinesError, match=r"pipeline.yaml:2:1: step: there is no such key \(did you mean 'steps'\?\)"
    ):
        shared.client.put("bad", bundle)


def test_a_bundle_too_large_is_refused(server: Server, tmp_path: Path) -> None:
    server.settings = {"PIPELINES_BUNDLE_MB": "1"}
    server.start()
    with pytest.raises(PipelinesError, match="larger than 1 MiB") as refused:
        server.client.put("big", Bundle(os.urandom(1024 * 1024 + 1), "", "c0ffee"))
    assert refused.value.status == 413
    packed = archive((tarfile.TarInfo("zeros"), bytes(9 * 1024 * 1024)))
    with pytest.raises(PipelinesError, match="too large once unpacked"):
        server.client.put("big", packed)


def test_a_pipeline_without_a_required_step_is_refused(server: Server, tmp_path: Path) -> None:
    server.settings = {"PIPELINES_REQUIRED_STEPS": "validate"}
    server.start()
    with pytest.raises(PipelinesError, match="lacks the step 'validate'"):
        server.client.put("p", project(tmp_path / "p", "p", {"name": "train", "command": ["true"]}))


def test_the_environment_of_a_lock_is_made_once_per_bundle(server: Server, tmp_path: Path) -> None:
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "uv is needed: run the tests with `uv run pytest`"
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.11"\n')
    subprocess.run([uv, "lock", "--offline", "-q"], cwd=folder, check=True)
    show = "import pathlib, sys; print(sys.prefix); assert pathlib.Path(sys.prefix, '.terrace-ready').exists()"
    step = {"name": "a", "command": ["uv", "run", "--frozen", "--no-sync", "python", "-c", show]}
    server.settings = {"PIPELINES_UV": uv}
    server.start()

    first = run_once(server, folder, "p", step)
    second = server.client.wait(server.client.start("p").id)

    server.client.check(first)
    server.client.check(second)
    assert server.log(first, "a").splitlines()[-1] == str(server.data / "bundles" / first.digest / ".venv")
    assert "Creating virtual environment" in server.log(first, None)
    assert server.log(second, None) == "", "the environment was made again"


def test_an_environment_that_can_not_be_made_fails_the_run(server: Server, tmp_path: Path) -> None:
    server.settings = {"PIPELINES_UV": shutil.which("false") or ""}
    server.start()
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "uv.lock").write_text("")
    run = run_once(server, folder, "p", {"name": "a", "command": ["true"]})
    assert (run.state, run.steps[0].state) == ("failed", "skipped")
    assert run.error == "Its environment can't be made: uv sync ended with exit code 1"


def test_only_the_last_runs_are_kept(server: Server, tmp_path: Path) -> None:
    server.settings = {"PIPELINES_KEEP_RUNS": "2"}
    server.start()
    runs = [run_once(server, tmp_path / "p", "p", {"name": "a", "command": ["true"]}) for _ in range(4)]
    wait_for(lambda: len(server.client.runs("p")) == 2)
    assert [run.id for run in server.client.runs("p")] == [runs[3].id, runs[2].id]
    assert {path.name for path in (server.data / "runs").iterdir()} == {runs[3].id, runs[2].id}
    assert server.metric('terrace_pipeline_run_total{pipeline="p",state="succeeded"}') == 4


def test_a_long_log_keeps_its_beginning_and_its_end(server: Server, tmp_path: Path) -> None:
    server.settings = {"PIPELINES_LOG_MB": "1"}
    server.start()
    source = "print('begin'); [print('x' * 99) for _ in range(30000)]; print('end')"
    run = run_once(server, tmp_path / "p", "p", {"name": "a", "command": python(source)})
    path = next((server.data / "runs" / run.id).glob("01-a.log"))
    assert 1024 * 1024 < path.stat().st_size < 1.2 * 1024 * 1024
    text = path.read_text()
    assert text.startswith("begin\n")
    assert "bytes left out" in text
    assert text.endswith("\nend\n")


def test_steps_that_run_again_are_told(server: Server, tmp_path: Path) -> None:
    server.start()
    told: list[tuple[str, int]] = []
    goes_on = tmp_path / "goes-on"
    # The second attempt waits until it has been told, or a fast one ends between two looks.
    attempts = f"test -e first || {{ touch first; exit 1; }}; until test -e {goes_on}; do sleep 0.02; done; exit 1"
    step = {"name": "a", "command": ["sh", "-c", attempts], "retries": 1, "timeout": 60}

    def tell(step: StepRun) -> None:
        told.append((step.state, step.attempts))
        if step.attempts == 2:
            goes_on.touch()

    server.client.put("p", project(tmp_path / "p", "p", step))
    server.client.wait(server.client.start("p").id, on_step=tell, poll_seconds=0.02)
    assert told[-2:] == [("running", 2), ("failed", 2)]


def test_scheduled_times_missed_while_down_are_made_up_for_once(server: Server, tmp_path: Path) -> None:
    server.start()
    server.client.put("p", project(tmp_path / "p", "p", {"name": "a", "command": ["true"]}, schedule="0 6 * * 1"))
    assert server.client.runs("p") == []
    next_run = server.client.pipelines()[0].next_run
    assert next_run is not None
    assert (next_run.weekday(), next_run.hour, next_run.minute) == (0, 6, 0), "cron's day 1 is Monday"
    server.stop()
    record = server.data / "pipelines" / "p.json"
    kept = json.loads(record.read_text())
    record.write_text(json.dumps({**kept, "scheduled_after": "2020-01-01T00:00:00Z"}))

    server.start()

    wait_for(lambda: [run.state for run in server.client.runs("p")] == ["succeeded"])
    assert [run.trigger for run in server.client.runs("p")] == ["schedule"]
    assert server.client.pipelines()[0].next_run == next_run
    server.stop()
    server.start()
    time.sleep(1)
    assert len(server.client.runs("p")) == 1, "a missed time was made up for twice"

    server.client.put("p", project(tmp_path / "p", "p", {"name": "a", "command": ["false"]}, schedule="0 6 * * 1"))
    server.client.wait(server.client.start("p").id, poll_seconds=0.02)
    assert server.metric('terrace_pipeline_last_run_succeeded{pipeline="p"}') == 0
    assert server.metric('terrace_pipeline_last_scheduled_run_succeeded{pipeline="p"}') == 1


def test_a_run_that_was_going_on_is_lost_and_what_it_left_is_ended(server: Server, tmp_path: Path) -> None:
    server.start()
    run = run_once(server, tmp_path / "p", "p", {"name": "a", "command": ["true"]}, {"name": "b", "command": ["true"]})
    server.stop()
    left = subprocess.Popen(["sleep", "99"], start_new_session=True, env={"PIPELINE_RUN_ID": run.id})
    run.state, run.finished = "running", None
    run.steps[0].state, run.steps[1].state = "running", "waiting"
    (server.data / "runs" / run.id / "run.json").write_text(run.model_dump_json())

    server.start()

    assert left.wait(10) == -signal.SIGKILL
    run = server.client.run(run.id)
    assert (run.state, [step.state for step in run.steps]) == ("lost", ["lost", "skipped"])
    assert server.metric('terrace_pipeline_run_total{pipeline="p",state="lost"}') == 1


def test_a_pipeline_whose_bundle_is_damaged_can_be_sent_again(server: Server, tmp_path: Path) -> None:
    server.start()
    bundle = project(tmp_path / "p", "p", {"name": "a", "command": ["true"]})
    server.client.put("p", bundle)
    server.stop()
    (server.data / "bundles" / bundle.digest / "pipeline.yaml").unlink()
    (server.data / "pipelines" / "other.json").write_text("{")
    server.start()
    with pytest.raises(PipelinesError, match="The bundle of pipeline 'p' is damaged"):
        server.client.start("p")
    assert [each.steps for each in server.client.pipelines()] == [[]]
    assert server.client.put("p", bundle) is True
    assert server.client.wait(server.client.start("p").id).state == "succeeded"


def test_a_log_or_run_that_is_not_there_is_said(shared: Server, tmp_path: Path) -> None:
    run = run_once(shared, tmp_path / "p", "asked", {"name": "a", "command": ["true"]})
    with pytest.raises(PipelinesError, match="has no step 'b'") as refused:
        shared.client.log(run.id, "b")
    assert refused.value.status == 404
    with pytest.raises(PipelinesError, match="'-1' is not a number of bytes"):
        shared.client.log(run.id, "a", -1)
    with pytest.raises(PipelinesError, match="There is no run 'run-1'"):
        shared.client.run("run-1")
    with pytest.raises(PipelinesError, match="Not Found"):
        shared.client.run("../pipelines")
    assert [each.id for each in shared.client.runs("asked")] == [run.id]
    assert run.id in {each.id for each in shared.client.runs()}
