"""What the cleanup of MLflow removes for good, and what stays, however long ago somebody deleted it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.tracking.programs.mlflow_cleanup.choice import DAY_SECONDS, Found, Holds, due, held, place, seen

NOW = 2_000_000_000.0
LONG_AGO = NOW - 31 * DAY_SECONDS
RUN, OTHER, MODEL = "a" * 32, "b" * 32, f"m-{'c' * 32}"


def run(id_: str = RUN, experiment: str = "4", deleted: float | None = LONG_AGO) -> Found:
    return Found("run", id_, experiment, deleted, f"mlflow-artifacts:/{experiment}/{id_}/artifacts")


def model(experiment: str = "4", deleted: float | None = LONG_AGO) -> Found:
    return Found("model", MODEL, experiment, deleted, f"mlflow-artifacts:/{experiment}/models/{MODEL}/artifacts")


def experiment(id_: str = "4", deleted: float | None = LONG_AGO, location: str = "") -> Found:
    return Found("experiment", id_, id_, deleted, location or f"mlflow-artifacts:/{id_}")


def chosen(
    *found: Found,
    versions: Mapping[str, tuple[str | None, ...]] | None = None,
    experiments: Mapping[str, str] | None = None,
    before: float = LONG_AGO,
) -> list[str]:
    """Return the keys of what goes; all was there when the cleanup looked ``before``."""
    own = {each.id: each.location for each in found if each.kind == "experiment"}
    holds = Holds.of(versions or {}, {"4": "mlflow-artifacts:/4", **own, **(experiments or {})})
    reasons = held(found, holds)
    since = seen(found, reasons, {each.key: before for each in found}, NOW)
    return [each.key for each in due(found, reasons, since, 30, NOW)]


def test_what_was_deleted_long_ago_goes_the_experiment_last() -> None:
    assert chosen(experiment(), run(), model()) == [f"model {MODEL}", f"run {RUN}", "experiment 4"]


def test_what_is_not_deleted_stays() -> None:
    assert chosen(experiment(), run(deleted=None)) == []
    assert held([experiment(), run(deleted=None)], Holds({}, {})) == {"experiment 4": f"run {RUN} was restored"}
    assert chosen(experiment(), model(deleted=None)) == ["experiment 4"], "MLflow leaves models as they are"


@pytest.mark.parametrize("found", [run(deleted=NOW - 29 * DAY_SECONDS), experiment(deleted=NOW - 29 * DAY_SECONDS)])
def test_what_was_deleted_lately_stays(found: Found) -> None:
    assert chosen(found) == []


def test_what_was_not_seen_for_long_stays_whatever_mlflow_says() -> None:
    """So what a restore brings back has all its time again."""
    assert chosen(run(), before=NOW - 29 * DAY_SECONDS) == []
    assert seen([run()], (), {}, NOW) == {f"run {RUN}": NOW}
    assert seen([], (), {f"run {RUN}": LONG_AGO}, NOW) == {}


def test_an_experiment_waits_for_its_youngest_run() -> None:
    assert chosen(experiment(), run(), run(OTHER, deleted=NOW)) == [f"run {RUN}"]


@pytest.mark.parametrize(
    "version",
    [
        ("", "", RUN),
        (f"mlflow-artifacts:/4/{RUN}/artifacts/model", None, None),
        (f"mlflow-artifacts:/4/%61{RUN[1:]}/artifacts/model", None, None),
        (None, f"https://host/mlflow/api/2.0/mlflow-artifacts/artifacts/4/{RUN}/artifacts", None),
        (f"runs:/{RUN}/model", None, None),
    ],
)
def test_a_run_stays_that_a_version_names_and_so_does_its_experiment(version: tuple[str | None, ...]) -> None:
    assert chosen(experiment(), run(), run(OTHER), versions={"delay version 1": version}) == [f"run {OTHER}"]


@pytest.mark.parametrize("deleted", [LONG_AGO, None])
def test_a_model_stays_that_a_version_names_and_so_does_its_experiment(deleted: float | None) -> None:
    for source in (f"models:/{MODEL}", f"mlflow-artifacts:/4/models/{MODEL}/artifacts"):
        assert chosen(experiment(), model(deleted=deleted), versions={"delay version 1": (source,)}) == []


def test_an_experiment_stays_that_a_version_has_a_file_of() -> None:
    for source in ("mlflow-artifacts:/4/by-hand/model", "mlflow-artifacts:/4", "mlflow-artifacts:/9/../4//x"):
        assert chosen(experiment(), versions={"delay version 1": (source,)}) == []
    assert chosen(experiment(), versions={"delay version 1": ("mlflow-artifacts:/44/x", "models:/delay/4")}) != []


@pytest.mark.parametrize("other", ["mlflow-artifacts:/4", "mlflow-artifacts:/4/x", "mlflow-artifacts://host/4/x"])
def test_an_experiment_stays_that_another_lies_in(other: str) -> None:
    assert chosen(experiment(), experiments={"9": other}) == []
    assert chosen(run(), experiments={"9": f"mlflow-artifacts:/4/{RUN}/artifacts/in"}) == []


@pytest.mark.parametrize(
    "found",
    [
        experiment(location=f"mlflow-artifacts:/1/{RUN}/artifacts/4"),
        experiment(location="file:///var/lib/terrace/4"),
        experiment(location="s3://bucket/4"),
        replace(run(), location=f"file:///srv/{RUN}/artifacts"),
        replace(run(), location=f"mlflow-artifacts:/4/{OTHER}/artifacts"),
        replace(run(), location=""),
    ],
)
def test_what_has_its_artifacts_elsewhere_or_with_others_stays(found: Found) -> None:
    assert chosen(found) == []


def test_the_default_experiment_stays_without_its_runs() -> None:
    assert chosen(experiment("0"), run(experiment="0")) == [f"run {RUN}"]


def test_the_time_begins_anew_when_nothing_holds_it_any_more() -> None:
    reasons = held([run()], Holds.of({"delay version 1": (RUN,)}, {}))
    assert seen([run()], reasons, {f"run {RUN}": LONG_AGO}, NOW) == {f"run {RUN}": NOW}


@pytest.mark.parametrize(
    ("location", "folder"),
    [
        ("mlflow-artifacts:/4/x", "4/x"),
        ("mlflow-artifacts://host:8443/4/x", "4/x"),
        ("http://host/api/2.0/mlflow-artifacts/artifacts/4/x", "4/x"),
        ("mlflow-artifacts:/", None),
        ("mlflow-artifacts:/../..", None),
        ("models:/delay/4", None),
        ("/srv/4/x", None),
    ],
)
def test_where_an_address_leads(location: str, folder: str | None) -> None:
    assert place(location) == folder


IDS = st.sampled_from([letter * 32 for letter in "0123456789abcdef"])
WAYS = st.sampled_from(["{}", "runs:/{}/model", "mlflow-artifacts:/4/{}/artifacts/model", "mlflow-artifacts:/5/{}/x"])


@given(st.lists(st.tuples(IDS, st.sampled_from("45"))), st.lists(st.tuples(WAYS, IDS)), st.sets(st.sampled_from("45")))
def test_nothing_that_a_version_names_ever_goes(
    runs: list[tuple[str, str]], named: list[tuple[str, str]], gone: set[str]
) -> None:
    found = [*(run(id_, each) for id_, each in dict(runs).items()), *map(experiment, sorted(gone))]
    versions = {f"delay version {number}": (way.format(id_),) for number, (way, id_) in enumerate(named)}
    going = set(chosen(*found, versions=versions, experiments={"5": "mlflow-artifacts:/5"}))
    kept = {id_ for _, id_ in named}
    assert not {f"run {id_}" for id_ in kept} & going
    assert not {f"experiment {each}" for id_, each in dict(runs).items() if id_ in kept} & going
