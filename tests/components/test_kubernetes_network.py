"""The plan of a platform on Kubernetes: who reaches whom."""

from __future__ import annotations

import json
from typing import Any

from tests.components.cluster import file_of, of, reached

PARTS = ("airflow", "audit", "databases", "wb-ann")
BACKUPS = ("backup", *(f"{what}-{part}" for what in ("backup", "restore") for part in PARTS))
DUMPS = ("backup-databases", "restore-databases")
# Who connects to which port of whom; nothing else does, but for the entrance and the cluster's DNS.
EDGES = {
    *((job, "postgres", 15432) for job in DUMPS),
    *((job, "seaweedfs", 18333) for job in BACKUPS),
    ("airflow", "postgres", 15432),
    ("bucket-backup", "seaweedfs", 18333),
    ("bucket-dvc", "seaweedfs", 18333),
    ("bucket-mlflow", "seaweedfs", 18333),
    ("database-airflow", "postgres", 15432),
    ("database-feast", "postgres", 15432),
    ("database-mlflow", "postgres", 15432),
    ("database-mlflow-accounts", "postgres", 15432),
    ("database-predictions", "postgres", 15432),
    ("dvc", "seaweedfs", 18333),
    ("evidently", "mlflow", 15000),
    ("evidently", "postgres", 15432),
    ("feast", "postgres", 15432),
    ("gateway", "airflow", 15091),
    ("gateway", "airflow", 15092),
    ("gateway", "audit", 18190),
    ("gateway", "dvc", 15040),
    ("gateway", "evidently", 18180),
    ("gateway", "feast", 16566),
    ("gateway", "mlflow", 15000),
    ("gateway", "mlserver", 18080),
    ("gateway", "prometheus", 19090),
    ("gateway", "prometheus", 19093),
    ("gateway", "portal", 15070),
    ("gateway", "wb-ann", 15051),
    ("gateway", "workbench", 15050),
    ("mlflow", "audit", 18190),
    ("mlflow", "postgres", 15432),
    ("mlflow", "seaweedfs", 18333),
    ("mlserver", "audit", 18190),
    ("mlserver", "mlflow", 15000),
    ("mlserver", "postgres", 15432),
    # The portal asks everybody how they are.
    ("portal", "airflow", 15091),
    ("portal", "audit", 18190),
    ("portal", "backup", 15061),
    ("portal", "dvc", 15040),
    ("portal", "evidently", 18180),
    ("portal", "feast", 16566),
    ("portal", "mlflow", 15000),
    ("portal", "mlserver", 18080),
    ("portal", "postgres", 15432),
    ("portal", "prometheus", 19090),
    ("portal", "prometheus", 19093),
    ("portal", "seaweedfs", 18333),
    ("portal", "workbench", 15050),
    ("prometheus", "airflow", 15091),
    ("prometheus", "audit", 18190),
    ("prometheus", "backup", 15061),
    ("prometheus", "dvc", 15040),
    ("prometheus", "evidently", 18180),
    ("prometheus", "feast", 16567),
    ("prometheus", "gateway", 15080),
    ("prometheus", "gateway", 15081),
    ("prometheus", "mlflow", 15001),
    ("prometheus", "mlserver", 18082),
    ("prometheus", "mlserver", 18083),
    ("prometheus", "mlserver", 18084),
    ("prometheus", "portal", 15070),
    ("prometheus", "postgres", 15433),
    ("prometheus", "seaweedfs", 18334),
    ("prometheus", "workbench", 15050),
}


def test_who_reaches_whom_is_what_the_graph_says(objects: list[dict[str, Any]]) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of(objects, "NetworkPolicy")}
    everybody = policies.pop("everybody")
    assert policies.pop("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert reached(everybody, "egress", "to") == {("gateway", 8443)}
    assert [port["port"] for port in everybody["egress"][0]["ports"]] == [53, 53]
    into, out = set(), set()
    for name, spec in policies.items():
        assert spec["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": name}}
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        into |= {(caller, name, port) for caller, port in reached(spec, "ingress", "from")}
        out |= {(name, service, port) for service, port in reached(spec, "egress", "to")}
    assert into == EDGES
    assert out == EDGES
    open_to_all = {name for name, spec in policies.items() for rule in spec.get("ingress", []) if "from" not in rule}
    assert open_to_all == {"gateway"}


def test_what_installs_packages_reaches_the_index_and_no_private_network(objects: list[dict[str, Any]]) -> None:
    opened = {}
    for each in of(objects, "NetworkPolicy"):
        for rule in each["spec"].get("egress", []):
            blocks = [peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer]
            if any(block["cidr"] == "0.0.0.0/0" for block in blocks):
                opened[each["metadata"]["name"]] = (blocks[0]["except"], [port["port"] for port in rule["ports"]])
    private = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
    assert opened == dict.fromkeys(("airflow", "mlserver", "wb-ann"), (private, [443]))


def test_the_gateway_has_everybodys_routes_and_monitoring_everybodys_metrics(objects: list[dict[str, Any]]) -> None:
    routes = file_of(objects, "gateway", "routes__services.conf")
    for path, target in (
        ("/mlflow/", "http://mlflow:15000/;"),
        ("/serving/", "http://mlserver:18080/;"),
        ("/dvc/", "http://dvc:15040/;"),
        ("/drift/", "http://evidently:18180/;"),
        ("/feast/", "http://feast:16566/;"),
        ("/pipelines/", "http://airflow:15091/;"),
        ("/airflow/", "http://airflow:15092;"),
        ("/audit/", "http://audit:18190/;"),
        ("/portal/", "http://portal:15070/;"),
        ("/workbench/", "http://$server__workbench_;"),
        ("/prometheus/", "http://prometheus:19090;"),
    ):
        assert f"location {path} {{" in routes
        assert f"proxy_pass {target}" in routes
    needs = file_of(objects, "gateway", "routes__services.needs")
    assert 'map "$request_method $uri" $need__serving_' in needs
    assert "127.0.0.1" not in routes + needs
    scraped = json.loads(file_of(objects, "prometheus", "scrapes.json"))
    told = {(each["targets"][0], each["labels"]["__metrics_path__"]) for each in scraped}
    wanted = {f"{service}:{port}" for caller, service, port in EDGES if caller == "prometheus"}
    own = {"prometheus:19090", "prometheus:19093"}
    assert {target for target, _ in told} == wanted | own
    assert ("gateway:15080", "/certificates") in told
