"""Pipelines as a project uses them, and commands of steps that tell what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from terrace.pipelines import PipelineClient, PipelinesError, make_bundle
from tests.host.machine import wait_for

# Fails once.
RETRIED = 'if [ -e "$PIPELINE_RUN_DIR/x" ]; then echo again; else touch "$PIPELINE_RUN_DIR/x"; exit 3; fi'
# Lasts longer than any test, unless it is tried again.
LASTING = (
    'if [ -e "$PIPELINE_RUN_DIR/x" ]; then echo again; else touch "$PIPELINE_RUN_DIR/x"; echo first; exec sleep 987; fi'
)
# From tier 2 on a pipeline without a step of this name is refused.
FIRST = "validate"


def client(outputs: dict[str, Any], user: str = "", password: str = "") -> PipelineClient:
    """Return the client of a person, or of projects."""
    connection = outputs["connection"]
    return PipelineClient(
        connection["PIPELINES_URL"],
        user or connection["PIPELINES_USER"],
        password or connection["PIPELINES_PASSWORD"],
        Path(connection["TERRACE_CA_FILE"]),
    )


def send(pipelines: PipelineClient, folder: Path, name: str, *steps: dict[str, Any], **options: Any) -> None:
    """Write a pipeline into ``folder`` and send it as a bundle."""
    (folder / "pipeline.yaml").write_text(yaml.safe_dump({"name": name, "steps": list(steps), **options}))
    pipelines.put(name, make_bundle(folder))


def remove(pipelines: PipelineClient, name: str) -> None:
    """Remove a pipeline as soon as nothing of it runs, and what it runs on answers."""

    def gone() -> bool:
        with suppress(PipelinesError):
            pipelines.delete(name)
        return name not in {pipeline.name for pipeline in pipelines.pipelines()}

    wait_for(gone, 60)


@contextmanager
def each_minute(pipelines: PipelineClient, folder: Path) -> Iterator[str]:
    """Keep a pipeline that runs every minute while other things are tried; gives its name."""
    name = "each-minute"
    step = {"name": FIRST, "command": ["/bin/echo", "jane.doe@example.org"]}
    send(pipelines, folder, name, step, schedule="* * * * *")
    yield name
    remove(pipelines, name)


def retried_then_failing() -> tuple[dict[str, Any], ...]:
    """Return steps of which the first is tried twice, the third fails, and the fourth is never begun."""
    return (
        {"name": FIRST, "command": ["sh", "-c", RETRIED], "retries": 1},
        {"name": "shows", "command": ["sh", "-c", "echo $MLFLOW_TRACKING_PASSWORD; env | cut -d= -f1"]},
        {"name": "fails", "command": ["sh", "-c", "echo oh no; exit 4"]},
        {"name": "never", "command": ["true"]},
    )


def assert_failed_after_a_retry(pipelines: PipelineClient, name: str) -> None:
    """Run a pipeline of these steps, and look at what is told of it: the contract of every flavor."""
    run = pipelines.wait(pipelines.start(name).id)
    assert [(step.name, step.state, step.attempts, step.exit_code) for step in run.steps] == [
        (FIRST, "succeeded", 2, 0),
        ("shows", "succeeded", 1, 0),
        ("fails", "failed", 1, 4),
        ("never", "skipped", 0, None),
    ]
    assert (run.state, run.error) == ("failed", "Step fails ended with exit code 4")
    assert pipelines.log(run.id, "fails") == b"oh no\n[pipelines] ended with exit code 4\n"
    masked, *names = pipelines.log(run.id, "shows").decode().splitlines()
    assert masked == "***"
    own = [name for name in names if "AIRFLOW" in name or "TIMER" in name]
    assert own == [], "a step isn't given the service's own secrets"
