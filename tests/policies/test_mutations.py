"""One property of a real plan is broken: exactly one rule fires, on exactly that resource."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from policies.catalog import rules
from tests.policies.world import asked, broken, careful, planned, without, wrong

Change = Callable[[dict[str, Any]], object]
MLFLOW, MLSERVER = "tracking/mlflow-service", "serving/mlserver-service"
GATEWAY, BACKUP = "gateway/gateway-service", "backup/backup-service"
IN_A_CLUSTER = {"K1", "K3", "K7", "K9", "K11"}  # rules about nothing else; see test_cluster_mutations.py
UNHASHED = "requests==2.0\n"


class Mutation(NamedTuple):
    """What is broken of the resource ``path``, and the rule that must see it."""

    rule: str
    path: str
    change: Change


def plain(name: str, value: str) -> Change:
    """Return what sets a plain variable of a service."""
    return lambda variables: variables["service_environment"].update({name: value})


def secret(name: str, value: str) -> Change:
    """Return what sets a secret variable of a service."""
    return lambda variables: variables["service_secrets"].update({name: value})


def first_process(name: str, value: Any) -> Change:
    """Return what sets something of a service's first process."""
    return lambda variables: variables["service_processes"][0].update({name: value})


def first_route(name: str, value: Any) -> Change:
    """Return what sets something of a service's first route."""
    return lambda variables: variables["service_routes"][0].update({name: value})


def own(name: str, value: Any) -> Change:
    """Return what sets one of the role's variables."""
    return lambda variables: variables.update({name: value})


def text(path: str, old: str, new: str) -> Change:
    """Return what changes a text in a service's file."""

    def change(variables: dict[str, Any]) -> None:
        files = [*variables["service_files"], *variables["service_live_files"]]
        (file,) = [each for each in files if each["path"] == path]
        assert old in file["content"]
        file["content"] = file["content"].replace(old, new)

    return change


MUTATIONS = (
    Mutation("A8", GATEWAY, text("nginx.conf", "requests.jsonl audit;", "requests.jsonl combined;")),
    Mutation("A8", GATEWAY, own("service_name", "entrance")),
    Mutation("A8", MLSERVER, plain("MODEL_SYNC_AUDIT", "")),
    Mutation(
        "A11",
        MLFLOW,
        first_process("command", ["mlflow", "server", "--app-name", "basic-auth", "--host", "0.0.0.0"]),
    ),
    Mutation("A11", MLSERVER, plain("MLSERVER_HOST", "0.0.0.0")),
    Mutation("A11", "database/postgres-service", text("postgresql.conf", "'127.0.0.1'", "'*'")),
    Mutation(
        "A11", "monitoring/prometheus-service", first_process("command", ["prometheus", "--web.listen-address=:9"])
    ),
    Mutation("A11", "feature_store/feast-service", first_process("command", ["gunicorn", "-b", ":8000", "app"])),
    Mutation("A11", "feature_store/feast-service", first_process("command", ["feast", "--host", "::0"])),
    Mutation("A11", "feature_store/feast-service", first_process("command", ["feast", "--host=0"])),
    Mutation("A11", GATEWAY, text("nginx.conf", "8443 ssl;", "8443 ssl; } server { listen [::0]:80 ssl;")),
    Mutation("A13", "audit/audit-service", plain("AUDIT_RETENTION_DAYS", "30")),
    Mutation("K4", MLFLOW, own("service_reads_all", True)),
    Mutation("K4", "feature_store/feast-service", first_process("command", ["/bin/sh", "-ec", "exec sudo feast"])),
    Mutation("K5", MLFLOW, lambda variables: variables["service_processes"][0].pop("memory_mb")),
    Mutation("K6", "drift/evidently-service", own("service_probe", {})),
    Mutation("K6", "portal/portal-service", own("service_metrics", [])),
    Mutation("K6", "portal/portal-service", own("service_probe", {"port": 1, "path": "/health"})),
    Mutation("K10", MLFLOW, plain("ANYTHING", "[mlflow-admin]")),
    Mutation("K10", "pipelines/airflow-service", plain("DATABASE", "postgresql://a:b@127.0.0.1/x")),
    Mutation("K10", MLSERVER, first_process("command", ["mlserver", "-p[predictions-key]"])),
    Mutation("K12", GATEWAY, text("nginx.conf", "8443 ssl;", "8443;")),
    Mutation("K12", GATEWAY, text("nginx.conf", "TLSv1.2 TLSv1.3", "TLSv1 TLSv1.2")),
    Mutation("K12", "monitoring/prometheus-service", text("alertmanager.yml", "https://hooks", "http://hooks")),
    Mutation("M2", MLFLOW, secret("MLFLOW_BACKEND_STORE_URI", "sqlite:////var/lib/terrace/local/mlflow/runs.db")),
    Mutation("M2", MLFLOW, plain("MLFLOW_ARTIFACTS_DESTINATION", "/tmp/artifacts")),
    Mutation("M2", MLFLOW, plain("MLFLOW_ARTIFACTS_DESTINATION", "//tmp/artifacts")),
    Mutation("M3", MLFLOW, first_process("command", ["mlflow", "server", "--host", "127.0.0.1"])),
    Mutation("M3", MLFLOW, text("basic_auth.ini", "NO_PERMISSIONS", "READ")),
    Mutation("M4", MLSERVER, plain("MLSERVER_LOAD_MODELS_AT_STARTUP", "true")),
    Mutation("M4", MLSERVER, plain("MLFLOW_TRACKING_URI", "/srv/models")),
    Mutation("M10", MLSERVER, plain("MODEL_SYNC_CANDIDATE", "production")),
    Mutation("M13", MLSERVER, text("owners.json", "flights-delay", "anything")),
    Mutation("M15", "tracking/mlflow-artifact_folder", own("artifact_folder_path", "/var/lib/terrace/prod/artifacts")),
    Mutation("M15", "tracking/mlflow-artifact_folder", own("artifact_folder_path", "/var/lib//terrace/prod/artifacts")),
    Mutation("M15", "feature_store/feast-service", plain("HOME", "/var/lib/terrace/prod/feast")),
    Mutation("M15", "platform/base", own("terrace_environment", "prod")),
    Mutation("M19", MLFLOW, plain("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")),
    Mutation("M19", MLSERVER, plain("MODEL_SYNC_TRUSTED_TYPES", "builtins.eval")),
    Mutation("M19", MLSERVER, plain("MODEL_SYNC_TRUSTED_TYPES", "functools.partial,timeit.timeit")),
    Mutation("M19", MLSERVER, plain("MODEL_SYNC_TRUSTED_TYPES", "numpy.load")),
    Mutation("M20", "drift/evidently-service", own("service_python_lock", UNHASHED)),
    Mutation("M20", "platform/base", own("base_uv_lock", UNHASHED)),
    Mutation("M20", "pipelines/airflow-service", first_process("command", ["/bin/sh", "-ec", "curl https://x | sh"])),
    Mutation("M20", "feature_store/feast-service", own("service_python_lock", "")),
    Mutation("M22", "pipelines/airflow-service", plain("PIPELINES_REQUIRED_STEPS", "")),
    Mutation("M25", GATEWAY, text("nginx.conf", '"$account"', '"$request_body"')),
    Mutation("M26", "workbench/workbench-service", secret("MLFLOW_TRACKING_PASSWORD", "x")),
    Mutation("M27", BACKUP, plain("BACKUP_PLACE", "/var/lib/terrace/local/backups")),
    Mutation("M27", BACKUP, plain("BACKUP_PLACE", "/srv/../tmp/x")),
    Mutation("M27", BACKUP, plain("BACKUP_KEEP", '{"last": 0, "daily": 0, "weekly": 0}')),
    Mutation("M27", "database/postgres-service", own("service_name", "another")),
    Mutation("M30", "portal/portal-service", first_route("needs", [])),
    Mutation("M30", "drift/evidently-service", first_route("auth", "own")),
    Mutation("M30", "data_versioning/dvc-gateway_folder", own("gateway_folder_needs", [])),
    Mutation("M30", GATEWAY, text("nginx.conf", "auth_basic_user_file", "# auth_basic_user_file")),
    Mutation("M31", "monitoring/prometheus-service", text("alertmanager.yml", "webhook_configs", "configs")),
    Mutation("M32", BACKUP, plain("BACKUP_PLACE", "/var/backups/terrace/local")),
    Mutation("M32", BACKUP, plain("BACKUP_PLACE", "/var/./backups/terrace")),
)
# What is taken out of the plan, and the rule that must see it at which resource.
REMOVED = (
    ("A2", "platform/host", "platform/encrypted_data"),
    ("K8", "platform/host", "platform/firewall"),
    ("M1", "platform/platform", "data_versioning/dvc"),
)
# What else the rules are told of the environment.
CASE: dict[str, Any] = {
    "goal": "Tell who can pay.",
    "kpi": "AUC",
    "baseline": "none",
    "owner": "ann",
    "intended_use": "Advice to clerks.",
    "models": ["flights-delay"],
}
PUBLIC = {"name": "places", "class": "public"}
TOLD = (
    ("M12", MLSERVER, {**CASE, "sources": [PUBLIC], "risk_class": "high"}),
    ("M14", "platform/platform", {**CASE, "sources": [{"name": "p", "class": "pii", "columns": []}]}),
    (
        "M14",
        "serving/predictions-postgres_database",
        {**CASE, "sources": [{"name": "p", "class": "pii", "keep_days": 7}]},
    ),
    ("M25", MLSERVER, {**CASE, "sources": [{"name": "p", "class": "confidential", "columns": ["x"]}]}),
)


def test_a_careful_environment_keeps_every_rule() -> None:
    assert wrong(asked(*careful())) == set()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: f"{each.rule}-{each.path}")
def test_a_broken_property_is_seen_by_one_rule_at_one_resource(mutation: Mutation) -> None:
    resources, told = careful()
    findings = asked(broken(resources, mutation.path, mutation.change), told)
    assert wrong(findings) == {(mutation.rule, mutation.path)}
    assert {each.status for each in findings} == {"passes", "violates"}


@pytest.mark.parametrize(("rule", "path", "gone"), REMOVED)
def test_a_missing_resource_is_seen_by_one_rule(rule: str, path: str, gone: str) -> None:
    resources, told = careful()
    assert wrong(asked(without(resources, gone), told)) == {(rule, path)}


@pytest.mark.parametrize(
    ("rule", "role", "variable", "value"),
    [
        ("A2", "encrypted_data", "encrypted_data_folders", ["/srv/artifacts"]),
        ("K8", "firewall", "firewall_listeners", []),
        ("K8", "firewall", "firewall_allow_users", ["ann", "www-data"]),
    ],
)
def test_a_machine_that_is_half_configured_is_seen_at_the_host(rule: str, role: str, variable: str, value: Any) -> None:
    resources, told = careful()
    changed = broken(resources, f"platform/{role}", own(variable, value))
    assert wrong(asked(changed, told)) == {(rule, "platform/host")}


@pytest.mark.parametrize(
    ("slot", "component", "also"),
    [
        ("registry", "registry/mlflow", {("M4", MLSERVER)}),
        ("monitoring", "monitoring/prometheus", {("M8", MLSERVER)}),
        ("drift", "drift/evidently", {("M9", MLSERVER)}),
    ],
)
def test_a_missing_slot_is_seen_by_who_needs_it_too(slot: str, component: str, also: set[tuple[str, str]]) -> None:
    resources, told = careful()
    assert wrong(asked(without(resources, component), told)) == {("M1", "platform/platform"), *also}


@pytest.mark.parametrize(
    ("alert", "rule"), [("PredictionErrors", "M8"), ("ModelNotDeployed", "M8"), ("DataDrift", "M9")]
)
def test_a_missing_alert_is_seen_where_it_would_watch(alert: str, rule: str) -> None:
    """It is broken at one resource and missed at another."""
    resources, told = careful()
    path = "monitoring/prometheus-service"
    changed = broken(resources, path, text("rules.yaml", f"alert: {alert}\n", "alert: Other\n"))
    assert wrong(asked(changed, told)) == {(rule, MLSERVER)}


def test_where_no_predictions_are_kept_drift_is_not_seen_either() -> None:
    resources, told = careful()
    changed = broken(resources, MLSERVER, plain("PREDICTIONS_SPOOL", ""))
    assert wrong(asked(changed, told)) == {("M9", MLSERVER), ("M12", MLSERVER)}


@pytest.mark.parametrize(("rule", "path", "case"), TOLD)
def test_a_use_case_asks_for_more(rule: str, path: str, case: dict[str, Any]) -> None:
    resources, told = careful()
    masks = json.dumps({"flights-delay": {"*": "pii"}})
    if rule == "M14":  # masked as it should be
        resources = broken(resources, MLSERVER, text("masks.json", "{}", masks))
    told = told.model_validate(
        {**told.model_dump(by_alias=True), "use_cases": {"loans": {"risk_class": "limited", **case}}}
    )
    assert wrong(asked(resources, told)) == {(rule, path)}


def test_without_use_cases_the_register_is_empty() -> None:
    resources, told = careful()
    told = told.model_copy(update={"use_cases": {}})
    changed = broken(resources, MLSERVER, text("owners.json", "flights-delay", "x"))
    found = [(each.where, each.mandatory) for each in asked(changed, told) if each.status != "passes"]
    assert found == [("use_cases", False), ("variables.service_live_files[owners.json]", True)]
    told = told.model_copy(update={"compliance": ("gdpr",)})
    assert all(each.mandatory for each in asked(changed, told) if each.rule.id == "M13")


def test_every_rule_is_tried_on_a_broken_plan() -> None:
    tried = {each.rule for each in MUTATIONS} | {rule for rule, *_ in (*REMOVED, *TOLD)} | {"M8", "M9"} | IN_A_CLUSTER
    assert {rule.id for rule in rules()} - tried == {"M18"}  # it is about the spec alone


@pytest.mark.parametrize("tier", range(1, 6))
def test_each_tier_keeps_its_own_rules_without_a_waiver(tier: int) -> None:
    resources, told = planned(tier)
    assert told.waivers == ()
    findings = asked(resources, told)
    assert [(each.rule.id, each.resource.path, each.problem) for each in findings if each.stops or each.is_open] == []
    mandatory = {rule.id for rule in rules() if rule.from_tier and rule.from_tier <= tier}
    asked_of_nothing = mandatory - {each.rule.id for each in findings}
    there = {"M26"} if tier == 2 else set()  # workbenches come with tier 3
    assert asked_of_nothing == there | (IN_A_CLUSTER & mandatory) - {"K1"}  # which is asked of the platform
