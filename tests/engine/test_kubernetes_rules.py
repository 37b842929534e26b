"""The rules of Pulumi's Kubernetes provider that need no cluster: forms, changes, replacements, managers, names."""

from __future__ import annotations

from typing import Any

import pytest

from terrace.engine.errors import UnsupportedError
from terrace.engine.kubernetes import Kubernetes, immutable, names
from terrace.engine.kubernetes.changes import changes, to_diff, where_inputs_differ, without
from terrace.engine.kubernetes.errors import ApiError, explain
from terrace.engine.kubernetes.fields import ignoring, takeover
from terrace.engine.kubernetes.kinds import is_list, is_patch, kind_of, kind_of_type
from terrace.engine.kubernetes.objects import Object, hide_secrets, normalized, pruned, to_object, to_values
from terrace.engine.kubernetes.scopes import Scopes
from terrace.engine.kubernetes.settings import Settings
from terrace.engine.values import UNKNOWN, Secret


def _pod(**container: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a", **container}]}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, ["a update"]),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, ["a.c add"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, ["a.c delete"]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, ["a[1] update", "a[2] add"]),
        ({"a": 1}, {"a": None}, ["a delete"]),
        ({}, {"a": None}, []),
        ({"a": 1}, {"a": UNKNOWN}, ["a update"]),
        ({}, {"a": UNKNOWN}, ["a add"]),
    ],
)
def test_changes(before: Object, after: Object, expected: list[str]) -> None:
    from terrace.engine.paths import show

    assert [f"{show(change.path)} {change.kind}" for change in changes(before, after)] == expected


def test_ignored_changes_and_unchanged_inputs_do_not_count() -> None:
    found = changes({"spec": {"cpu": "1", "size": 1}}, {"spec": {"cpu": "1000m", "size": 2}})
    assert [change.path for change in without(found, ["spec.size"])] == [("spec", "cpu")]
    asked = {"spec": {"cpu": "1000m", "size": 1}}
    kept = where_inputs_differ(found, asked, {"spec": {"cpu": "1000m", "size": 2}})
    assert [change.path for change in kept] == [("spec", "size")]


@pytest.mark.parametrize(
    ("kind", "path", "value", "replaces"),
    [
        ("apps/v1/Deployment", "spec.selector.matchLabels.app", "x", True),
        ("apps/v1/Deployment", "spec", {"selector": {}}, True),
        ("apps/v1/Deployment", "spec", {"replicas": 1}, False),
        ("apps/v1/StatefulSet", "spec.volumeClaimTemplates[0].spec.resources", {}, True),
        ("apps/v1/StatefulSet", "spec.template.spec", {}, False),
        ("batch/v1/Job", "spec.template.spec.containers[0].image", "x", True),
        ("batch/v1/Job", "spec.suspend", True, False),
        ("batch/v1/CronJob", "spec.jobTemplate.spec.template", {}, False),
        ("v1/Pod", "spec.containers[1].image", "x", True),
        ("v1/Pod", "spec.containers[1]", {"image": "x"}, True),
        ("v1/Pod", "spec.tolerations", [], False),
        ("v1/PersistentVolumeClaim", "spec.storageClassName", "x", True),
        ("v1/PersistentVolumeClaim", "spec.resources.requests.storage", "2Gi", False),
        ("v1/Service", "spec.clusterIP", "None", True),
        ("v1/Service", "spec.type", "NodePort", False),
        ("v1/Secret", "data.a", "x", True),
        ("v1/ConfigMap", "data.a", "x", True),
        ("v1/Namespace", "metadata.name", "x", True),
        ("v1/Namespace", "metadata.labels.a", "x", False),
        ("rbac.authorization.k8s.io/v1/RoleBinding", "roleRef.name", "x", True),
        ("storage.k8s.io/v1/StorageClass", "provisioner", "x", True),
        ("example.com/v1/Deployment", "spec.selector", {}, False),
    ],
)
def test_what_replaces_an_object(kind: str, path: str, value: Any, replaces: bool) -> None:
    from terrace.engine.paths import parse

    api_version, _, name = kind.rpartition("/")
    fields = immutable.fields_of({"apiVersion": api_version, "kind": name}, kind_of(api_version, name), Settings())
    assert immutable.touches(fields, parse(path), value) is replaces


def test_data_that_may_change_in_place() -> None:
    mutable = Settings(mutable_config_maps=True, mutable_secrets=True)
    for name in ("ConfigMap", "Secret"):
        obj: Object = {"apiVersion": "v1", "kind": name}
        assert not immutable.touches(immutable.fields_of(obj, kind_of("v1", name), mutable), ("data", "a"), "x")
        obj["immutable"] = True
        assert immutable.touches(immutable.fields_of(obj, kind_of("v1", name), mutable), ("data", "a"), "x")


def test_an_object_that_keeps_its_name_goes_first() -> None:
    fields = immutable.fields_of(_pod(), kind_of("v1", "Pod"), Settings())

    def diff(metadata: Object) -> tuple[bool, bool]:
        old, new = {**_pod(image="a"), "metadata": metadata}, {**_pod(image="b"), "metadata": metadata}
        found = to_diff(changes(old, new), fields, old, new)
        return found.replace, found.delete_first

    assert diff({"name": "a"}) == (True, True)
    assert diff({"name": "a", "annotations": {"pulumi.com/autonamed": "true"}}) == (True, False)


def test_names() -> None:
    new: Object = {"kind": "Pod"}
    names.set_name(new, "web", None)
    given = new["metadata"]["name"]
    assert given.startswith("web-")
    assert len(given) == len("web-") + 8
    again: Object = {"metadata": {"labels": {}}}
    names.set_name(again, "web", new)
    assert again["metadata"]["name"] == given
    assert again["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    for metadata in ({"name": UNKNOWN}, {"name": "own"}):
        named: Object = {"metadata": dict(metadata)}
        names.set_name(named, "web", new)
        assert named["metadata"] == metadata


def test_the_servers_form() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "b"}, "data": {"c": "ZA==\n"}}
    assert normalized(secret) == {"apiVersion": "v1", "kind": "Secret", "data": {"a": "Yg==", "c": "ZA=="}}
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "status": {}}
    assert "status" not in normalized({**crd, "spec": {"preserveUnknownFields": False}})
    assert normalized({"metadata": {"uid": "x", "name": "y"}}) == {"metadata": {"name": "y"}}


def test_values_and_objects() -> None:
    values = {"x_kubernetes_list_type": "map", "n": 2.0, "s": Secret({"k": "v"}), "u": UNKNOWN}
    obj = to_object(values)
    assert obj == {"x-kubernetes-list-type": "map", "n": 2, "s": {"k": "v"}, "u": UNKNOWN}
    assert isinstance(obj["n"], int)
    assert to_values(obj)["x_kubernetes_list_type"] == "map"
    hidden = hide_secrets({"kind": "Secret", "data": {"a": "b"}}, {})
    assert isinstance(hidden["data"], Secret)


def test_what_is_cut_to_its_shape() -> None:
    live = {"a": {"b": 1, "c": 2}, "l": [{"x": 1, "y": 2}, {"x": 3}], "m": ["p", "q"], "z": 1}
    assert pruned(live, {"a": {"b": 9}, "l": [{"x": 9}], "m": ["r"]}) == {"a": {"b": 1}, "l": [{"x": 1}], "m": ["p"]}


def test_fields_are_taken_over_from_whoever_made_the_object() -> None:
    def entry(manager: str, operation: str, **fields: Any) -> dict[str, Any]:
        return {"manager": manager, "operation": operation, "fieldsV1": fields}

    status = {**entry("pulumi-kubernetes", "Update", s={}), "subresource": "status"}
    mine = entry("me", "Apply", **{"f:spec": {"f:a": {}}})
    made = entry("pulumi-kubernetes", "Update", **{"f:spec": {"f:b": {}}})
    other = entry("scaler", "Update", **{"f:spec": {"f:c": {}}})
    live = {"metadata": {"resourceVersion": "7", "managedFields": [mine, made, other, status]}}
    managers, version = takeover(live, "me")
    assert managers["value"] == [other, status, entry("me", "Apply", **{"f:spec": {"f:a": {}, "f:b": {}}})]
    assert version["value"] == "7"
    assert takeover({"metadata": {"managedFields": [mine, other]}}, "me") == []
    assert takeover({"metadata": {"resourceVersion": "7", "managedFields": [entry("me", "Update", f={})]}}, "me")

    wanted = {"spec": {"a": 1, "c": 1, "d": 1}}
    there = {**live, "spec": {"a": 2, "c": 2}}
    applied = ignoring(wanted, there, "me", ["spec.a", "spec.c", "spec.d", "nowhere.at.all"])
    assert applied == {"spec": {"a": 2, "d": 1}}


def test_kinds() -> None:
    assert str(kind_of_type("kubernetes:core/v1:Pod")) == "v1/Pod"
    assert str(kind_of_type("kubernetes:example.com/v1:Thing")) == "example.com/v1/Thing"
    assert is_patch("kubernetes:apps/v1:DeploymentPatch", "Deployment")
    assert not is_patch("kubernetes:example.com/v1:Patch", "Patch")
    assert is_list("kubernetes:core/v1:ConfigMapList")
    assert not is_list("kubernetes:example.com/v1:AccessList")
    scopes = Scopes()
    assert scopes.is_namespaced(kind_of("v1", "Pod"), None)
    assert not scopes.is_namespaced(kind_of("v1", "Namespace"), None)
    names_ = {"kind": "Thing"}
    definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    scopes.note({**definition, "spec": {"group": "example.com", "scope": "Cluster", "names": names_}})
    assert not scopes.is_namespaced(kind_of("example.com/v1", "Thing"), None)


@pytest.mark.parametrize(
    ("configuration", "what"),
    [
        ({"enableServerSideApply": "false"}, "client-side apply"),
        ({"renderYamlToDirectory": "out"}, "rendering objects to a folder"),
    ],
)
def test_settings_that_are_refused(configuration: dict[str, Any], what: str) -> None:
    with pytest.raises(UnsupportedError, match=what):
        Settings.of(configuration, {})


def test_settings() -> None:
    given = {"kubeconfig": Secret({"kind": "Config"}), "enablePatchForce": True, "enableServerSideApply": "true"}
    found = Settings.of(given, {"PULUMI_K8S_ENABLE_SECRET_MUTABLE": "true"})
    assert (found.kubeconfig, found.patch_force, found.mutable_secrets) == ('{"kind": "Config"}', True, True)
    assert not Settings.of({"kubeconfig": UNKNOWN}, {}).known


def test_whether_a_configuration_leads_elsewhere() -> None:
    moved = Kubernetes().moved

    def config(server: str, **more: Any) -> dict[str, Any]:
        content = {
            "current-context": "c",
            "clusters": [{"name": "k", "cluster": {"server": server}}],
            "contexts": [{"name": "c", "context": {"cluster": "k"}}],
        }
        return {"kubeconfig": content, **more}

    assert moved(config("a"), config("a")) == ()
    assert moved(config("a"), config("a", namespace="x")) == ()
    assert moved(config("a"), config("b")) == ("kubeconfig",)
    assert moved(config("a"), {"kubeconfig": UNKNOWN}) == ("kubeconfig",)
    assert moved({"context": "a"}, {"context": "b"}) == ()  # the environment's kubeconfig can't be compared
    assert moved(config("a", clusterIdentifier="x"), config("b", clusterIdentifier="x")) == ()
    assert moved(config("a", clusterIdentifier="x"), config("a", clusterIdentifier="y")) == ("clusterIdentifier",)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (ApiError(401, "Unauthorized", "no"), "refuses the credentials"),
        (ApiError(403, "Forbidden", 'pods is forbidden: User "x" cannot'), "you may not work on Pod"),
        (ApiError(403, "Forbidden", "namespace x is being terminated"), "is being deleted"),
        (ApiError(404, "NotFound", "no", {"kind": "namespaces"}), "the namespace  isn't there"),
        (ApiError(409, "Conflict", "the object has been modified"), "was changed at the same time"),
        (ApiError.of(500, "Oops", b"<html>"), r"the cluster refuses Pod \n  why: <html>"),
        (ApiError.of(500, "Oops", b'{"message": "m", "reason": "InternalError"}'), "InternalError"),
    ],
)
def test_what_the_server_says(error: ApiError, what: str) -> None:
    import re

    assert re.search(what, str(explain(error, _pod())))
