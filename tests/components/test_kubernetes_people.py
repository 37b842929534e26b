"""The plan of a platform on Kubernetes: what people have of it, and what the audit log is told of what they do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from components.audit.programs.audit_log.tokens import token
from tests.components.cluster import containers, file_of, named, pods, whole, with_a_person
from tests.components.recording import ON_KUBERNETES, blueprint, plan

ADDRESS = "    kubernetes: {address: ml.example.com}\n"


@pytest.fixture(scope="module")
def addressed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The objects of a platform whose entrance has a name that people use."""
    folder = tmp_path_factory.mktemp("stack")
    found = plan(blueprint(ON_KUBERNETES, folder, target="kubernetes", edit=lambda text: with_a_person(text) + ADDRESS))
    return [whole(resource.inputs) for resource in found if resource.type.startswith("kubernetes:")]


def _environment(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the variables of a pod's first process; of those from a Secret, a reference to it."""
    container = dict(pods(objects))[name]["spec"]["containers"][0]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def test_a_person_has_a_pod_without_a_password_and_a_volume(objects: list[dict[str, Any]]) -> None:
    workbench = named(objects, "StatefulSet", "wb-ann")
    (claim,) = workbench["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    (container,) = containers(workbench["spec"]["template"])
    assert container["command"][:2] == ["/bin/sh", "-c"], "it is begun anew at once when nobody worked"
    assert container["resources"] == {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "4096Mi"}}
    assert "/terrace/workbench:" in container["image"]
    given = _environment(objects, "wb-ann")
    assert given["WORKBENCH_DOOR"] == "0.0.0.0:15051"
    assert given["MLFLOW_TRACKING_USERNAME"] == given["TERRACE_GATEWAY_USER"] == "ann"
    assert not any(name.endswith("_PASSWORD") for name in given)
    assert set(named(objects, "Secret", "wb-ann")["data"]) == {"UV_SYSTEM_CERTS", "account.json"}


def test_the_account_leads_to_the_persons_pod_and_to_no_other(objects: list[dict[str, Any]]) -> None:
    needs = file_of(objects, "gateway", "routes__services.needs")
    assert "upstream server__workbench_ { server workbench:15050; }" in needs
    assert "upstream server__workbench__ann { server wb-ann:15051; }" in needs
    assert '"account ann" server__workbench__ann;' in needs
    # Who has no workbench comes to the page that says so, and its service is told no password.
    assert 'server__workbench_ "";' in needs


@pytest.mark.parametrize("name", ["wb-ann", "airflow"])
def test_the_platforms_own_services_come_to_the_gateway_from_within(addressed: list[dict[str, Any]], name: str) -> None:
    given = _environment(addressed, name)
    found = {}
    for variable in ("TERRACE_GATEWAY_URL", "MLFLOW_TRACKING_URI"):
        value = given[variable]
        found[variable] = value if isinstance(value, str) else file_of(addressed, name, variable)
    assert found == {
        "TERRACE_GATEWAY_URL": "https://gateway.platform-local.svc:8443",
        "MLFLOW_TRACKING_URI": "https://gateway.platform-local.svc:8443/mlflow",
    }
    assert _environment(addressed, "airflow")["AIRFLOW__API__BASE_URL"] == "https://ml.example.com:8443/airflow/"
    names = _environment(addressed, "gateway")["CERTIFICATE_HOSTS"].split(",")
    assert {"ml.example.com", "gateway.platform-local.svc"} <= set(names)
    taken = _environment(addressed, "mlflow")["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {"ml.example.com:8443", "gateway.platform-local.svc:8443"} <= set(taken)


def test_the_gateway_tells_the_audit_log_of_requests(objects: list[dict[str, Any]]) -> None:
    gateway = dict(pods(objects))["gateway"]
    (collector,) = [each for each in containers(gateway) if each["name"] == "audit"]
    assert collector["command"] == ["/usr/local/bin/python3", "-m", "audit_collector"]
    given = _environment(objects, "gateway")
    assert (given["AUDIT_HOST"], given["AUDIT_PORT"]) == ("audit.platform-local.svc", "18190")
    assert given["AUDIT_ROUTES"] == "/terrace/config/routes"
    assert "access_log /terrace/data/requests.jsonl audit;" in _plain(objects, "gateway", "nginx.conf")
    told = json.loads(file_of(objects, "gateway", "routes__services.acts"))
    (serving,) = [each for each in told if each["path"] == "/serving/"]
    assert [each["action"] for each in serving["acts"]] == ["predict"]


def test_sources_show_the_audit_log_a_token_and_nginx_with_what_people_ask(objects: list[dict[str, Any]]) -> None:
    assert file_of(objects, "audit", "AUDIT_SOURCE_KEY") == "[audit-sources]"
    assert _environment(objects, "mlserver")["MODEL_SYNC_AUDIT"] == "http://audit.platform-local.svc:18190"
    shown = file_of(objects, "mlserver", "MODEL_SYNC_AUDIT_TOKEN")
    assert shown == token(b"[audit-sources]", "mlserver")
    own = token(b"[audit-sources]", "gateway")
    assert file_of(objects, "gateway", "AUDIT_TOKEN") == own
    assert file_of(objects, "gateway", "audit-token.conf") == f'proxy_set_header Authorization "Bearer {own}";\n'
    _, _, route = file_of(objects, "gateway", "routes__services.conf").partition("location /audit/ {")
    assert "include /terrace/config/audit-token.conf;" in route[: route.index("}")]
    kept = [each for each in objects if each["kind"] == "Secret" and "AUDIT_SOURCE_KEY" in each["data"]]
    assert [each["metadata"]["name"] for each in kept] == ["audit"]


def test_the_portal_is_the_first_page_and_asks_names_in_the_cluster(objects: list[dict[str, Any]]) -> None:
    assert "rewrite ^ /portal/ last;" in _plain(objects, "gateway", "nginx.conf")
    asked = json.loads(_plain(objects, "portal", "outputs.json"))
    services = {each["metadata"]["name"] for each in objects if each["kind"] == "Service"}
    names = {name for service in services for name in (service, f"{service}.platform-local.svc")}
    assert {urlsplit(each["probe_url"]).hostname for each in asked["services"]} <= {*names, "127.0.0.1"}
    (own,) = [each["probe_url"] for each in asked["services"] if each["name"] == "portal"]
    assert own == "http://127.0.0.1:15070/health", "a pod may not reach itself by its Service"
    assert {each["slot"] for each in asked["services"]} >= {"audit", "database", "gateway", "portal", "workbench"}


def test_without_a_portal_the_first_page_is_the_list_of_links(tmp_path: Path) -> None:
    found = plan(blueprint(2, tmp_path, target="kubernetes"))
    objects = [whole(resource.inputs) for resource in found if resource.type.startswith("kubernetes:")]
    assert "portal" not in _plain(objects, "gateway", "nginx.conf")


def _plain(objects: list[dict[str, Any]], name: str, key: str) -> str:
    return str(named(objects, "ConfigMap", name)["data"][key])
