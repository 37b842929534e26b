"""What people have of a platform in a cluster, by the programs that its pods run: entrance, portal, workbench, log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.host.machine import wait_for
from tests.host.pods import Pods, pods_on_this_machine

pytestmark = pytest.mark.usefixtures("platform")  # which installs nginx and what the pods' images hold
GATEWAY = "https://gateway:8443"
ANN = "ann:[person-ann]"
OPERATOR = "terrace:[gateway-account]"
EVENT = {"id": "of-the-tests", "at": "2026-01-01T00:00:00Z", "actor": "ann", "action": "deploy", "outcome": "ok"}


def _answers(pods: Pods, page: str) -> bool:
    return pods.ask(page)[0] == 200


@pytest.fixture(scope="module")
def pods() -> Iterator[Pods]:
    with pods_on_this_machine() as found:
        for name in ("audit", "portal", "workbench", "wb-ann"):
            found.start(name)
        found.start("gateway", "setup-certificate", "setup-routes", "server", "access", "audit")
        for page in (f"{GATEWAY}/healthz", "http://audit:18190/health", "http://portal:15070/health"):
            wait_for(partial(_answers, found, page), 60)
        yield found


def test_the_first_page_is_the_portal_which_sees_who_is_there(pods: Pods) -> None:
    assert pods.ask(f"{GATEWAY}/")[0] == 401
    status, page = pods.ask(f"{GATEWAY}/", account=ANN)
    assert (status, "<h1>platform · local</h1>" in page) == (200, True)
    services = json.loads(pods.ask(f"{GATEWAY}/portal/health.json", account=ANN)[1])["services"]
    healthy = {each["name"]: each["healthy"] for each in services}
    assert {name for name, is_so in healthy.items() if is_so} == {"audit", "gateway", "portal", "workbench"}
    assert healthy["postgres"] is False


def test_a_workbench_wakes_for_its_person_and_for_nobody_else(pods: Pods) -> None:
    status, answer = pods.ask(f"{GATEWAY}/workbench/api/status", account=ANN)
    assert (status, json.loads(answer)["kernels"]) == (200, 0)
    assert "JupyterLab" in pods.ask(f"{GATEWAY}/workbench/lab", account=ANN)[1]
    status, answer = pods.ask(f"{GATEWAY}/workbench/lab", account=OPERATOR)
    assert (status, "no workbench" in answer) == (404, True)
    for account in ("", "eve:guessed", "ann:guessed"):  # past the gateway, as by a forwarded port
        assert pods.ask("http://wb-ann:15051/workbench/api/status", account=account)[0] == 403


def test_requests_are_told_to_the_audit_log_which_the_gateway_alone_reads(pods: Pods) -> None:
    assert pods.ask(f"{GATEWAY}/audit/records", account=ANN)[0] == 403
    wait_for(lambda: ("gateway", "ann", "read", "audit", "refused") in _records(pods), 30)
    assert pods.ask("http://audit:18190/records")[0] == 403


def test_the_audit_log_knows_its_sources(pods: Pods) -> None:
    token = pods.secret("mlserver", "MODEL_SYNC_AUDIT_TOKEN")
    send = ("--request", "POST", "--data", json.dumps({"events": [EVENT]}))
    assert pods.ask("http://audit:18190/events", *send)[0] == 403
    assert pods.ask("http://audit:18190/events", *send, "--header", f"Authorization: Bearer {token}")[0] == 200
    assert ("mlserver", "ann", "deploy", "", "ok") in _records(pods)
    event = json.dumps({"events": [EVENT | {"id": "of-the-operator", "actor": "root", "action": "up"}]})
    assert pods.ask(f"{GATEWAY}/audit/events", "--request", "POST", "--data", event, account=OPERATOR)[0] == 200
    assert ("operator", "root", "up", "", "ok") in _records(pods)


def _records(pods: Pods) -> set[tuple[Any, ...]]:
    status, page = pods.ask(f"{GATEWAY}/audit/records?limit=1000", account=OPERATOR)
    assert status == 200
    names = ("source", "actor", "action", "object", "outcome")
    return {tuple(each.get(name, "") for name in names) for each in json.loads(page)["records"]}
