"""What a line of the gateway's log means: who did what to what, and how it ended."""

from __future__ import annotations

import pytest

from components.audit.programs.audit_log.events import parse
from components.gateway.programs.audit_collector.acts import Acts
from components.gateway.programs.audit_collector.requests import SESSION_SECONDS, Reader, Request
from tests.components import audit_lines
from tests.components.audit_lines import TIME, line


def events(*lines: str, reader: Reader | None = None) -> list[tuple[str, str, str, str, int]]:
    """Return what lines say, without the first login."""
    requests = [request for each in lines if (request := Request.parse(each))]
    found = (reader or audit_lines.reader()).events(requests)
    assert all(parse(each) for each in found), "the audit log takes it"
    return [
        (each["actor"], each["action"], each["object"], each["outcome"], each["count"])
        for each in found
        if (each["action"], each["outcome"]) != ("login", "ok")
    ]


@pytest.mark.parametrize(
    ("request_line", "action", "about"),
    [
        ("POST /serving/v2/models/flights/infer", "predict", "serving: flights"),
        ("POST /serving/v2/models/flights/versions/3/infer", "predict", "serving: flights"),
        ("GET /serving/v2/health/live", "read", "serving"),
        ("POST /feast/get-online-features", "read_features", "feature_store: get-online-features"),
        ("POST /feast/push", "write_features", "feature_store: push"),
        ("GET /dvc/files/md5/ab/cdef", "read_data", "data_versioning: files/md5/ab/cdef"),
        ("PUT /dvc/files/md5/ab/cdef", "write_data", "data_versioning: files/md5/ab/cdef"),
        (
            "GET /mlflow/api/2.0/mlflow-artifacts/artifacts/1/abc/model.ubj",
            "read_artifact",
            "tracking: 1/abc/model.ubj",
        ),
        ("GET /mlflow/get-artifact", "read_artifact", "tracking: "),
        ("GET /mlflow/model-versions/get-artifact", "read_artifact", "registry: get-artifact"),
        (
            "PUT /mlflow/api/2.0/mlflow-artifacts/artifacts/1/abc/x",
            "change_artifact",
            "tracking: artifacts/1/abc/x",
        ),
        ("POST /mlflow/api/2.0/mlflow/runs/search", "read", "tracking"),
        ("GET /mlflow/api/2.0/mlflow/runs/get", "read", "tracking"),
        ("POST /mlflow/api/2.0/mlflow/runs/create", "change", "tracking: POST /mlflow/api/2.0/mlflow/runs/create"),
        ("GET /mlflow/api/2.0/mlflow/registered-models/get", "read", "registry"),
        (
            "POST /mlflow/api/2.0/mlflow/registered-models/alias",
            "change",
            "registry: POST /mlflow/api/2.0/mlflow/registered-models/alias",
        ),
        ("POST /pipelines/api/pipelines/flights/runs", "run_pipeline", "pipelines: flights"),
        ("POST /pipelines/api/runs/17/cancel", "cancel_run", "pipelines: 17"),
        ("PUT /pipelines/api/pipelines/flights", "send_pipeline", "pipelines: flights"),
        ("DELETE /pipelines/api/pipelines/flights", "remove_pipeline", "pipelines: flights"),
        ("POST /airflow/api/v2/dags/flights/dagRuns", "run_pipeline", "pipelines: flights"),
        ("DELETE /airflow/api/v2/dags/flights", "remove_pipeline", "pipelines: flights"),
        (
            "GET /airflow/api/v2/dags/flights/dagRuns/1/taskInstances/train/logs/2",
            "read_data",
            "pipelines: flights",
        ),
        ("PATCH /airflow/api/v2/dags/flights", "change", "pipelines: PATCH /airflow/api/v2/dags/flights"),
    ],
)
def test_a_request_says_what_was_done_to_what(request_line: str, action: str, about: str) -> None:
    found = events(line(1, request_line))
    assert found == [("ann", action, about.removesuffix(": "), "ok", 1)]


def test_who_may_silence_alerts_is_told_and_who_looks_at_metrics_is_not() -> None:
    silence = line(1, "POST /alertmanager/api/v2/silences", slot="monitoring")
    assert events(silence) == [("ann", "silence_alert", "monitoring: api/v2/silences", "ok", 1)]
    looks = ("GET /prometheus/api/v1/query", "POST /prometheus/api/v1/query")
    assert events(*(line(number, look) for number, look in enumerate(looks))) == []
    assert events(line(1, looks[0], status=403)) == [("ann", "read", "monitoring", "refused", 1)]


@pytest.mark.parametrize(("status", "outcome"), [(200, "ok"), (403, "refused"), (404, "failed"), (502, "failed")])
def test_how_it_ended_is_told(status: int, outcome: str) -> None:
    assert events(line(1, "PUT /dvc/x", status=status)) == [("ann", "write_data", "data_versioning: x", outcome, 1)]


def test_a_refused_login_is_told_without_what_was_typed_for_a_name() -> None:
    found = events(line(1, status=401), line(2, status=401), line(3, status=401, user="my-pa55word"))
    assert found == [
        ("ann", "login", "feature_store", "refused", 2),
        ("unknown", "login", "feature_store", "refused", 1),
    ]


def test_nobody_is_told_of_by_what_anybody_is_answered() -> None:
    """Where a service asks for the account, a page that needs none answers whatever name comes with it."""
    pages = ("mlflow/health", "mlflow/ajax-api/3.0/mlflow/server-info", "pipelines/health", "healthz", "elsewhere/x")
    for path in pages:
        assert events(line(1, f"GET /{path}")) == []
    assert events(line(1, "GET /mlflow/health-or-not", status=404)) == []
    assert events(line(1, "GET /mlflow/none", status=404, user="forged")) == [
        ("unknown", "read", "tracking", "failed", 1)
    ]
    assert events(line(1, user="")) == []


def test_a_name_counts_only_where_its_service_has_answered() -> None:
    run = "POST /airflow/api/v2/dags/flights/dagRuns"
    for status, answered in ((404, ""), (413, ""), (502, "502"), (504, "504")):
        assert [each[0] for each in events(line(1, run, status=status, answered=answered))] == ["unknown"]
    assert events(line(1, run, status=404, answered="404")) == [
        ("ann", "run_pipeline", "pipelines: flights", "failed", 1)
    ]


@pytest.mark.parametrize(("status", "outcome"), [(200, "ok"), (499, "failed"), (500, "failed"), (504, "failed")])
def test_what_was_done_by_nobody_known_is_told(status: int, outcome: str) -> None:
    remove = "DELETE /airflow/api/v2/dags/flights"
    found = events(line(1, remove, status=status, user=""))
    assert found == [("unknown", "remove_pipeline", "pipelines: flights", outcome, 1)]
    assert events(line(1, "GET /airflow/api/v2/dags", status=status, user="")) == []
    assert events(line(1, remove, status=401, user="")) == [], "nobody was there"
    assert events(line(1, "GET /dvc/healthz", status=status, user="", slot="")) == [], "anybody may ask how it is"


@pytest.mark.parametrize("path", ["variables/a/list", "dags/list", "pools/x/dry_run", "connections/list"])
def test_a_change_is_one_whatever_it_is_called(path: str) -> None:
    request = f"PATCH /airflow/api/v2/{path}"
    assert events(line(1, request)) == [("ann", "change", f"pipelines: {request}", "ok", 1)]


def test_a_service_that_has_gone_is_told_of_by_method() -> None:
    there = Reader({"ann"}, Acts())
    gone = line(1, "POST /serving/v2/models/flights/infer")
    assert events(gone, reader=there) == [
        ("ann", "change", "serving: POST /serving/v2/models/flights/infer", "ok", 1),
    ]
    assert events(line(2, "GET /mlflow/x"), reader=there) == [], "nothing says whose it was"


def test_terraces_own_sending_is_no_event_and_looking_at_the_log_is() -> None:
    assert events(line(1, "POST /audit/events", slot="audit")) == []
    assert events(line(1, "GET /audit/records", slot="audit")) == [("ann", "read", "audit", "ok", 1)]


def test_what_is_alike_is_one_event_that_says_how_often() -> None:
    ask = "POST /serving/v2/models/flights/infer"
    found = events(*(line(number, ask) for number in range(7)), line(8, ask, user="bob"))
    assert found == [
        ("ann", "predict", "serving: flights", "ok", 7),
        ("bob", "predict", "serving: flights", "ok", 1),
    ]


def test_a_login_is_the_first_request_after_a_while() -> None:
    reader = audit_lines.reader()
    minutes = (0, 1, 2, 3 + SESSION_SECONDS // 60, 4 + SESSION_SECONDS // 60)
    logins = []
    for minute in minutes:
        request = Request.parse(line(minute, time=TIME.format(minute))) or pytest.fail("no request")
        logins += [minute for each in reader.events([request]) if each["action"] == "login"]
        reader.taken()
    assert logins == [0, 3 + SESSION_SECONDS // 60]


def test_the_same_lines_are_the_same_events() -> None:
    lines = [Request.parse(line(number)) for number in range(3)]
    one, two = (audit_lines.reader().events(filter(None, lines)) for _ in range(2))
    assert one == two
    assert len({each["id"] for each in one}) == 2, "a login and a read"


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"id": "1"}', line(1)[:-9]])
def test_half_a_line_is_no_request(broken: str) -> None:
    assert Request.parse(broken) is None
