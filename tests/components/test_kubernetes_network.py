"""The plan of a platform on Kubernetes: who reaches whom."""

from __future__ import annotations

import json
from typing import Any

from tests.components.cluster import file_of, of, reached

BACKUPS = ("backup", "backup-databases", "backup-timer", "restore-databases", "restore-timer")
DUMPS = ("backup-databases", "restore-databases")
# Who connects to which port of whom; nothing else does, but for the entrance and the cluster's DNS.
EDGES = {
    *((job, "postgres", 15432) for job in DUMPS),
    *((job, "seaweedfs", 18333) for job in BACKUPS),
    ("bucket-backup", "seaweedfs", 18333),
    ("bucket-dvc", "seaweedfs", 18333),
    ("bucket-mlflow", "seaweedfs", 18333),
    ("database-feast", "postgres", 15432),
    ("database-mlflow", "postgres", 15432),
    ("database-mlflow-accounts", "postgres", 15432),
    ("database-predictions", "postgres", 15432),
    ("dvc", "seaweedfs", 18333),
    ("evidently", "mlflow", 15000),
    ("evidently", "postgres", 15432),
    ("feast", "postgres", 15432),
    ("gateway", "dvc", 15040),
    ("gateway", "evidently", 18180),
    ("gateway", "feast", 16566),
    ("gateway", "mlflow", 15000),
    ("gateway", "mlserver", 18080),
    ("gateway", "prometheus", 19090),
    ("gateway", "prometheus", 19093),
    ("gateway", "timer", 15090),
    ("mlflow", "postgres", 15432),
    ("mlflow", "seaweedfs", 18333),
    ("mlserver", "mlflow", 15000),
    ("mlserver", "postgres", 15432),
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
    ("prometheus", "postgres", 15433),
    ("prometheus", "seaweedfs", 18334),
    ("prometheus", "timer", 15090),
    ("timer", "postgres", 15432),
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
    assert opened == {"mlserver": (private, [443]), "timer": (private, [443])}


def test_the_gateway_has_everybodys_routes_and_monitoring_everybodys_metrics(objects: list[dict[str, Any]]) -> None:
    routes = file_of(objects, "gateway", "routes__services.conf")
    for path, target in (
        ("/mlflow/", "http://mlflow:15000/;"),
        ("/serving/", "http://mlserver:18080/;"),
        ("/dvc/", "http://dvc:15040/;"),
        ("/drift/", "http://evidently:18180/;"),
        ("/feast/", "http://feast:16566/;"),
        ("/pipelines/", "http://timer:15090/;"),
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
