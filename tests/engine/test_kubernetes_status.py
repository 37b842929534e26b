"""Whether objects are ready, by what their own status says."""

from __future__ import annotations

from typing import Any

import pytest

from terrace.engine.errors import StepError
from terrace.engine.kubernetes import status
from terrace.engine.kubernetes.objects import Object
from terrace.engine.kubernetes.wait_for import expressions, reached


def _object(found: Any, generation: int = 1, **spec: Any) -> Object:
    return {"metadata": {"generation": generation}, "spec": spec, "status": found}


def _condition(type_: str, value: str = "True", **more: Any) -> dict[str, Any]:
    return {"type": type_, "status": value, **more}


_SET = {"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "currentReplicas": 2}
_ROLLED = {
    "observedGeneration": 1,
    "replicas": 2,
    "updatedReplicas": 2,
    "availableReplicas": 2,
    "conditions": [_condition("Available")],
}
_FAILURE = _condition("ReplicaFailure", reason="FailedCreate", message="no room")
_NODES = {
    "observedGeneration": 1,
    "desiredNumberScheduled": 1,
    "currentNumberScheduled": 1,
    "updatedNumberScheduled": 1,
    "numberAvailable": 1,
    "numberReady": 1,
}


@pytest.mark.parametrize(
    ("check", "obj", "message"),
    [
        (status.deployment, _object(_ROLLED, replicas=2), ""),
        (status.deployment, _object(_ROLLED, generation=2, replicas=2), "its controller hasn't seen it yet"),
        (status.deployment, _object({**_ROLLED, "replicas": 3}, replicas=2), "2 of 2 pods are available"),
        (status.deployment, _object({"observedGeneration": 1, "conditions": [_FAILURE]}), "[FailedCreate] no room"),
        (
            status.deployment,
            _object({**_ROLLED, "updatedReplicas": 0, "availableReplicas": 0, "replicas": 0}, replicas=0),
            "",
        ),
        (status.stateful_set, _object({**_SET, "currentRevision": "a", "updateRevision": "a"}, replicas=2), ""),
        (status.stateful_set, _object({**_SET, "currentRevision": "a", "updateRevision": "b"}, replicas=2), "2 of 2"),
        (
            status.stateful_set,
            _object({**_SET, "observedGeneration": 2}, generation=2, replicas=2, updateStrategy={"type": "OnDelete"}),
            "",
        ),
        (
            status.stateful_set,
            _object(
                {**_SET, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"},
                replicas=2,
                updateStrategy={"rollingUpdate": {"partition": 1}},
            ),
            "",
        ),
        (status.daemon_set, _object(_NODES), ""),
        (status.daemon_set, _object({**_NODES, "updatedNumberScheduled": 0}), "1 of 1 pods are available"),
        (status.daemon_set, _object({}), "its controller hasn't seen it yet"),
        (status.job, _object({"conditions": [_condition("Complete")]}), ""),
        (status.job, _object({}, suspend=True), ""),
        (status.job, _object({"active": 1}), "it isn't complete: 1 active, 0 succeeded, 0 failed"),
        (status.pod, _object({"phase": "Succeeded"}), ""),
        (status.pod, _object({"phase": "Running", "conditions": [_condition("Ready")]}), ""),
        (
            status.pod,
            _object({"conditions": [_condition("PodScheduled", "False", reason="Unschedulable", message="no node")]}),
            "[Unschedulable] no node",
        ),
        (status.pod, _object({"phase": "Pending"}), "its phase is Pending"),
        (status.definition, _object({"conditions": [_condition("Established")]}), ""),
        (status.definition, _object({}), "its kind isn't established"),
        (status.quota, _object({"hard": {"pods": "1"}}, hard={"pods": "1"}), ""),
        (status.quota, _object({}, hard={"pods": "1"}), "it isn't in force yet"),
        (status.volume, _object({"phase": "Available"}), ""),
        (status.volume, _object({"phase": "Pending"}), "its phase is Pending"),
        (status.secret, {"type": "kubernetes.io/service-account-token"}, "its token isn't there yet"),
        (status.secret, {"type": "Opaque"}, ""),
        (status.anything, _object({"conditions": [_condition("Ready")]}), ""),
        (status.anything, _object({"observedGeneration": 0}), "its controller hasn't seen it yet"),
        (status.anything, _object({"conditions": [_condition("Stalled", reason="Stuck", message="m")]}), "[Stuck] m"),
    ],
)
def test_status(check: Any, obj: Object, message: str) -> None:
    found = check(obj)
    assert found.ready is (message == "")
    assert message in found.message
    assert not found.failed


@pytest.mark.parametrize(
    ("check", "obj"),
    [
        (status.job, _object({"conditions": [_condition("Failed", reason="DeadlineExceeded", message="too late")]})),
        (status.pod, _object({"phase": "Failed"})),
        (status.definition, _object({"conditions": [_condition("NamesAccepted", "False", reason="r", message="m")]})),
    ],
)
def test_what_will_never_be_ready(check: Any, obj: Object) -> None:
    found = check(obj)
    assert found.failed
    assert not found.ready


def _waiting(text: str, found: Any) -> status.Status:
    obj = {"metadata": {"generation": 2, "annotations": {"pulumi.com/waitFor": text}}, "status": found}
    return reached(obj, expressions(obj))


@pytest.mark.parametrize(
    ("text", "found", "ready"),
    [
        ("condition=Ready", {"conditions": [_condition("Ready")]}, True),
        ("condition=ready", {"conditions": [_condition("Ready", observedGeneration=1)]}, False),
        ("condition=Failed=False", {"conditions": [_condition("Failed", "False")]}, True),
        ("jsonpath={.status.phase}=Running", {"phase": "Running"}, True),
        ("jsonpath={.status.phase}=Running", {"phase": "Running", "observedGeneration": 1}, False),
        ("jsonpath={.status.list[0]['a.b']}", {"list": [{"a.b": 1}]}, True),
        ("jsonpath={.status.list[1].a}", {"list": [{"a": 1}]}, False),
        ("jsonpath={.status.count}=2", {"count": 2}, True),
        ('["condition=Ready", "jsonpath={.status.count}"]', {"conditions": [_condition("Ready")]}, False),
    ],
)
def test_waiting_for_what_an_annotation_names(text: str, found: Any, ready: bool) -> None:
    assert _waiting(text, found).ready is ready


@pytest.mark.parametrize("text", ["ready", "jsonpath=.status", "jsonpath={.a[*].b}"])
def test_an_annotation_that_makes_no_sense(text: str) -> None:
    with pytest.raises(StepError, match="waitFor can't be read"):
        _waiting(text, {})
