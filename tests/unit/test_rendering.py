"""Objects of Kubernetes as files: in order, the same each time, and without a secret."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from terrace.engine.outline import STAND_IN
from terrace.engine.state import Resource
from terrace.engine.values import UNKNOWN, Secret
from terrace.rendering import LEFT_OUT, Rendering, rendered

API = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "Job": "batch/v1"}
# Texts that one of the parsers out there takes for a number, a boolean, nothing, or a date.
AMBIGUOUS = (
    "y",
    "N",
    "on",
    "off",
    "yes",
    "1e3",
    "0o17",
    "017",
    "1_000",
    "12:30:45",
    "~",
    "null",
    "2024-01-01",
    ".5",
    "=",
)


def made(kind: str, name: str, *needs: Resource, options: dict[str, Any] | None = None, **parts: Any) -> Resource:
    """Return an object as an outline has it."""
    api = API.get(kind, "v1")
    inputs = {**parts, "metadata": {"namespace": "ml", "name": name}, "kind": kind, "apiVersion": api}
    token = f"kubernetes:{'core/' if api == 'v1' else ''}{api}:{kind}"
    urn = f"urn:pulumi:dev::terrace::{token}::{name}"
    needed = [each.urn for each in needs]
    return Resource(urn, token, custom=True, inputs=inputs, dependencies=needed, **(options or {}))


def render(*resources: Resource) -> Rendering:
    return rendered("dev", resources)


def test_names_sort_so_that_each_object_comes_after_those_that_it_needs() -> None:
    space = made("Namespace", "ml")
    account = made("ServiceAccount", "store", space)
    secret = made("Secret", "store", space, data=Secret({"key": "a"}))
    store = made("StatefulSet", "store", space, account, secret)
    setup = made("Job", "bucket", store)
    names = sorted(render(space, account, secret, store, setup, made("Deployment", "app", setup)).files)
    assert names == [
        "00-namespace-ml.yaml",
        "01-serviceaccount-store.yaml",
        "02-statefulset-store.yaml",
        "03-job-bucket.yaml",
        "04-deployment-app.yaml",
        LEFT_OUT,
    ]


def test_what_is_no_object_has_no_file() -> None:
    component = Resource(
        "urn:pulumi:dev::terrace::terrace:platform:Platform::platform", "terrace:platform:Platform", False
    )
    assert list(render(component).files) == [LEFT_OUT]


def test_the_order_of_keys_says_nothing() -> None:
    one = render(made("ConfigMap", "a", data={"x": "1", "y": "2"})).files
    other = render(made("ConfigMap", "a", data={"y": "2", "x": "1"})).files
    assert one == other
    assert one["00-configmap-a.yaml"].splitlines()[1:4] == ["apiVersion: v1", "kind: ConfigMap", "metadata:"]


def test_a_text_is_a_text_to_every_parser() -> None:
    script = "#!/bin/sh\n\n  echo '$HOME' # a\n"
    data = {**{f"t{number}": text for number, text in enumerate(AMBIGUOUS)}, "script": script, "long": "a b " * 99}
    data |= {"no end": "a\nb", "spaces": "a \nb\n", "tab": "\ta\n", "return": "a\r\nb", "empty": "", "ä": "ö\n"}
    text = render(made("ConfigMap", "a", data=data)).files["00-configmap-a.yaml"]
    assert yaml.safe_load(text)["data"] == data
    for number, word in enumerate(AMBIGUOUS):
        assert f"  t{number}: {word}\n" not in text
    assert "  script: |\n    #!/bin/sh\n" in text


def test_numbers_of_the_protocol_are_whole_again() -> None:
    text = render(made("Deployment", "a", spec={"replicas": 2.0})).files["00-deployment-a.yaml"]
    assert "replicas: 2\n" in text


def test_what_appears_twice_is_written_out_twice() -> None:
    labels = {"a": "bc"}
    text = render(made("Deployment", "a", spec={"one": labels, "two": labels})).files["00-deployment-a.yaml"]
    assert not {"&", "*"} & set(text)


def test_secrets_and_generated_values_are_named_and_left_out() -> None:
    found = render(
        made("Secret", "app", data=Secret({"password": "hush", "file": "hush"})),
        made("Secret", "open", data={"key": "hush"}),
        made("ConfigMap", "authority", data={"ca.crt": f"a {STAND_IN}authority-certificate"}),
        made("ConfigMap", "app", data={"app.conf": "hello"}),
    )
    assert sorted(found.files) == ["00-configmap-app.yaml", LEFT_OUT]
    assert [(each.kind, each.name, each.keys) for each in found.left_out] == [
        ("ConfigMap", "authority", ("ca.crt",)),
        ("Secret", "app", ("file", "password")),
        ("Secret", "open", ("key",)),
    ]
    assert "Secret ml/app: file, password\n" in found.files[LEFT_OUT]
    assert "terrace up dev --target secrets\n" in found.files[LEFT_OUT]
    assert not any("hush" in text or STAND_IN in text for text in found.files.values())


@pytest.mark.parametrize(
    "value", [Secret("hush"), UNKNOWN, f"{STAND_IN}a-value"], ids=["secret", "unknown", "generated"]
)
def test_an_object_that_may_not_hold_it_is_a_defect(value: Any) -> None:
    spec = {"template": {"spec": {"containers": [{"env": [{"name": "A", "value": value}]}]}}}
    with pytest.raises(ValueError, match="a Deployment holds a secret or generated value"):
        render(made("Deployment", "a", spec=spec))


def test_two_objects_of_one_name_are_a_defect() -> None:
    with pytest.raises(ValueError, match="another object has its kind and name"):
        render(made("ConfigMap", "a"), made("ConfigMap", "a"))


def test_tools_are_told_what_stays_and_what_is_made_anew() -> None:
    files = render(
        made("Namespace", "ml", options={"retain_on_delete": True}),
        made("Job", "setup", options={"replace_on_changes": ["spec"]}),
        made("Service", "app"),
    ).files
    kept, anew, plain = (
        yaml.safe_load(files[f"00-{name}.yaml"])["metadata"].get("annotations")
        for name in ("namespace-ml", "job-setup", "service-app")
    )
    assert kept == {
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
    }
    assert anew == {
        "argocd.argoproj.io/sync-options": "Force=true,Replace=true",
        "kustomize.toolkit.fluxcd.io/force": "enabled",
    }
    assert plain is None
