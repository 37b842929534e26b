"""The example project on the platform, from raw data to served predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from terrace.pipelines import PipelineClient, PipelinesError, make_bundle
from tests.host.conftest import ENVIRONMENT, ROOT, Platform
from tests.host.machine import wait_for

STEPS = ["extract", "validate", "version", "features", "search", "train", "evaluate", "register", "serve"]
LINEAGE = ("data_hash", "git_commit", "lock_hash", "serving_lock_hash", "configuration_hash", "evaluation_hash")
MINIMUM_AUC = 0.68


@pytest.fixture(scope="module")
def shown(platform: Platform) -> dict[str, Any]:
    """What `demo --json` says."""
    examples = platform.root / "examples"
    if not examples.exists():
        examples.symlink_to(ROOT / "examples")
    document: dict[str, Any] = platform.json("demo", ENVIRONMENT, "--yes")
    return document


def test_every_step_succeeds(shown: dict[str, Any]) -> None:
    assert [(step["name"], step["state"]) for step in shown["run"]["steps"]] == [(name, "succeeded") for name in STEPS]


def test_the_model_is_good_on_months_it_never_saw(shown: dict[str, Any]) -> None:
    model = shown["model"]
    assert sorted(model["auc_by_month"]) == [f"2013-{month:02d}" for month in range(7, 13)]
    assert model["auc"] >= MINIMUM_AUC
    assert model["auc"] > model["baseline_auc"] + 0.02
    assert model["auc"] < 0.85, "so much is not to be had without knowing what is known later only"


def test_served_answers_equal_the_models_own(shown: dict[str, Any]) -> None:
    model = shown["model"]
    assert model["max_abs_difference"] <= 1e-9
    assert model["requests"] == 300
    assert 0 < model["p50_ms"] <= model["p99_ms"]


def test_the_registered_version_says_what_it_came_from(shown: dict[str, Any], outputs: dict[str, Any]) -> None:
    connection, model = outputs["connection"], shown["model"]
    answer = requests.get(
        connection["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/model-versions/get",
        params={"name": model["model"], "version": model["version"]},
        auth=(connection["MLFLOW_TRACKING_USERNAME"], connection["MLFLOW_TRACKING_PASSWORD"]),
        verify=connection["TERRACE_CA_FILE"],
        timeout=60,
    )
    tags = {tag["key"]: tag["value"] for tag in answer.json()["model_version"]["tags"]}
    assert [name for name in LINEAGE if not tags.get(f"lineage.{name}")] == []
    assert tags["terrace.serving.state"] == "ready"


def test_the_gate_moved_the_alias(platform: Platform, shown: dict[str, Any]) -> None:
    model = next(each for each in platform.json("models", ENVIRONMENT) if each["name"] == shown["model"]["model"])
    assert model["production"] == model["served"] == shown["model"]["version"]
    assert model["history"][-1]["how"] == "gate"
    assert model["history"][-1]["by"] == f"pipeline run {shown['run']['id']}"


def test_a_pipeline_without_a_validation_step_is_refused(outputs: dict[str, Any], tmp_path: Path) -> None:
    connection = outputs["connection"]
    client = PipelineClient(
        connection["PIPELINES_URL"],
        connection["PIPELINES_USER"],
        connection["PIPELINES_PASSWORD"],
        Path(connection["TERRACE_CA_FILE"]),
    )
    (tmp_path / "pipeline.yaml").write_text("name: careless\nsteps: [{name: train, command: ['true']}]\n")
    with pytest.raises(PipelinesError, match="validate"):
        client.put("careless", make_bundle(tmp_path))
    assert "careless" not in {pipeline.name for pipeline in client.pipelines()}


def test_metrics_tell_of_the_run_and_the_served_version(gateway: requests.Session, outputs: dict[str, Any]) -> None:
    url = outputs["connection"]["TERRACE_GATEWAY_URL"] + "/prometheus/api/v1/query"
    query = 'terrace_pipeline_last_run_succeeded{pipeline="flights"}'

    def scraped() -> list[str]:
        result = gateway.get(url, params={"query": query}, timeout=30).json()["data"]["result"]
        return [series["value"][1] for series in result]

    wait_for(lambda: scraped() == ["1"], 60)
