"""Timer as the pipelines' flavor of the lower tiers, in a small environment of its own."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from terrace.pipelines import PipelineClient
from tests.host.conftest import ENVIRONMENT, PORT_SHIFT, Platform, make_project
from tests.host.machine import folders, processes, program_pids, users, wait_for
from tests.host.pipelines import (
    FIRST,
    LASTING,
    assert_failed_after_a_retry,
    client,
    each_minute,
    retried_then_failing,
    send,
)
from tests.host.releases import earlier, installed, pinned

pytestmark = pytest.mark.drill

SMALL = f"{ENVIRONMENT}-t1"
SHIFT = PORT_SHIFT + 500
# What tier 1 has not.
LATER = "audit|backup|data_quality|data_versioning|drift|feature_store|portal|workbench"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of tier 1."""
    project = make_project(tmp_path_factory.mktemp("timer"), SMALL, SHIFT)
    text = project.stack_file.read_text(encoding="utf-8").replace("terrace:tier: 3", "terrace:tier: 1")
    text = re.sub(rf"(?m)^    ({LATER}): \{{flavor: .*\n", "", text)
    text, found = re.subn(r"pipelines: \{flavor: airflow, .*\}", f"pipelines: {{port: {15090 + SHIFT}}}", text)
    assert found == 1
    project.stack_file.write_text(text, encoding="utf-8")
    try:
        project.terrace("up", SMALL, "--yes")
        yield project
    finally:
        project.terrace("destroy", SMALL, "--yes", "--delete-data")
    assert (folders(SMALL), users(SMALL), processes(SMALL)) == ([], [], [])


@pytest.fixture(scope="module")
def pipelines(small: Platform) -> PipelineClient:
    """The client of projects."""
    return client(small.outputs())


@pytest.fixture(scope="module")
def scheduled(pipelines: PipelineClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A pipeline that runs every minute."""
    with each_minute(pipelines, tmp_path_factory.mktemp("scheduled")) as name:
        yield name


@pytest.mark.usefixtures("scheduled")
def test_tier_1_has_timer_and_no_more_than_it_asks(small: Platform) -> None:
    services = {each["slot"]: each["flavor"] for each in small.json("status", SMALL)["services"]}
    assert services["pipelines"] == "timer"
    assert services.keys().isdisjoint(LATER.split("|"))


def test_steps_are_retried_and_a_failed_one_ends_the_run(pipelines: PipelineClient, tmp_path: Path) -> None:
    send(pipelines, tmp_path, "small", *retried_then_failing())
    assert_failed_after_a_retry(pipelines, "small")


def test_a_run_is_lost_when_the_service_is_killed_and_nothing_of_it_goes_on(
    small: Platform, pipelines: PipelineClient, tmp_path: Path
) -> None:
    send(pipelines, tmp_path, "long", {"name": FIRST, "command": ["sh", "-c", LASTING], "retries": 1})
    run = pipelines.start("long")
    wait_for(lambda: pipelines.log(run.id, FIRST) == b"first\n", 60)
    program = f"terrace-{SMALL}-timer-server"
    before = program_pids(SMALL)[program]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: program_pids(SMALL).get(program, before) != before, 60)
    wait_for(lambda: small.terrace("status", SMALL, check=False).returncode == 0, 60)
    assert pipelines.run(run.id).state == "lost"
    assert [process for process in processes(SMALL) if "sleep 987" in process.command] == []


def test_a_schedule_is_kept(pipelines: PipelineClient, scheduled: str) -> None:
    wait_for(lambda: any(run.state == "succeeded" for run in pipelines.runs(scheduled)), 120)
    run = next(run for run in pipelines.runs(scheduled) if run.state == "succeeded")
    assert run.trigger == "schedule"
    assert pipelines.log(run.id, FIRST) == b"[e-mail address]\n"
    page = requests.get(f"http://127.0.0.1:{15090 + SHIFT}/metrics", timeout=30).text
    assert re.search(rf'terrace_pipeline_last_success_timestamp_seconds{{pipeline="{scheduled}"}} \d', page)


def test_removed_is_removed(pipelines: PipelineClient) -> None:
    pipelines.delete("small")
    assert "small" not in {pipeline.name for pipeline in pipelines.pipelines()}


def test_a_version_before_and_back_keep_pipelines_and_runs(
    small: Platform, pipelines: PipelineClient, scheduled: str, tmp_path: Path
) -> None:
    kept = [run for run in pipelines.runs(scheduled) if run.ended]
    assert kept
    for number, platform in enumerate((earlier(small, tmp_path, "timer"), small)):
        platform.terrace("up", SMALL, "--yes", "--target", "pipelines")
        assert installed(SMALL, "timer", "apscheduler") == pinned("timer", "apscheduler")[number]
        assert [run for run in pipelines.runs(scheduled) if run.id in {each.id for each in kept}] == kept
        assert next(each for each in pipelines.pipelines() if each.name == scheduled).schedule == "* * * * *"


def test_another_flavor_is_said_before_anything_is_touched(small: Platform) -> None:
    timer = f"pipelines: {{port: {15090 + SHIFT}}}"
    small.edit(timer, "pipelines: {flavor: airflow}")
    try:
        flavors = small.json("preview", SMALL)["flavors"]
    finally:
        small.edit("pipelines: {flavor: airflow}", timer)
    assert flavors == [{"slot": "pipelines", "before": "timer", "after": "airflow"}]
