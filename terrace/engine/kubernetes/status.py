"""Whether an object is ready, by what its own status says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from terrace.engine.kubernetes.objects import Object, field, metadata


@dataclass(frozen=True)
class Status:
    """How far an object is.

    Attributes:
        ready: Whether it is what was asked for.
        message: What it still waits for, or why it failed.
        failed: Whether waiting longer is useless.
    """

    ready: bool
    message: str = ""
    failed: bool = False


READY: Final = Status(ready=True)


def condition(obj: Object, type_: str) -> Any:
    """The condition of a type; None if the object has none."""
    for item in field(obj, "status", "conditions") or []:
        if str(item.get("type")).lower() == type_.lower():
            return item
    return None


def holds(obj: Object, type_: str, wanted: str = "True") -> bool:
    """Whether a condition is as wanted, for the object as it is now."""
    found = condition(obj, type_)
    if found is None or str(found.get("status")).lower() != wanted.lower():
        return False
    observed = found.get("observedGeneration", field(obj, "status", "observedGeneration"))
    return observed is None or bool(observed >= metadata(obj).get("generation", 0))


def is_observed(obj: Object) -> bool:
    """Whether the status is about the object as it is now."""
    return bool((field(obj, "status", "observedGeneration") or 0) >= metadata(obj).get("generation", 0))


def said(found: Any) -> str:
    """A condition's reason and message."""
    return " ".join(part for part in (f"[{found.get('reason')}]", found.get("message") or "") if part)


def _count(obj: Object, key: str) -> int:
    return int(field(obj, "status", key) or 0)


def _wanted(obj: Object) -> int:
    replicas = field(obj, "spec", "replicas")
    return 1 if replicas is None else int(replicas)


def deployment(obj: Object) -> Status:
    """Ready when every pod is of the new revision and available."""
    wanted, available = _wanted(obj), _count(obj, "availableReplicas")
    if not is_observed(obj):
        return Status(False, "its controller hasn't seen it yet")
    complaints = [
        said(found)
        for type_, good in (("Available", "True"), ("Progressing", "True"), ("ReplicaFailure", "False"))
        if (found := condition(obj, type_)) is not None and found.get("status") != good
    ]
    updated = _count(obj, "updatedReplicas")
    done = updated >= wanted and _count(obj, "replicas") <= updated and available >= updated
    if done and holds(obj, "Available"):
        return READY
    return Status(False, "; ".join([f"{available} of {wanted} pods are available", *complaints]))


def stateful_set(obj: Object) -> Status:
    """Ready when every pod is, and all are of the new revision, as far as the update strategy takes them there."""
    wanted, ready = _wanted(obj), _count(obj, "readyReplicas")
    if not is_observed(obj):
        return Status(False, "its controller hasn't seen it yet")
    strategy = field(obj, "spec", "updateStrategy", "type")
    partition = field(obj, "spec", "updateStrategy", "rollingUpdate", "partition") or 0
    current, update = field(obj, "status", "currentRevision"), field(obj, "status", "updateRevision")
    complete = wanted == _count(obj, "replicas") == ready
    if partition:
        revised = _count(obj, "updatedReplicas") >= wanted - partition
    elif strategy == "OnDelete" and metadata(obj).get("generation", 1) > 1:
        revised = True
    else:
        revised = bool(current) and current == update and _count(obj, "currentReplicas") == wanted
    return READY if complete and revised else Status(False, f"{ready} of {wanted} pods are ready")


def daemon_set(obj: Object) -> Status:
    """Ready when each node that should have a pod has an available one of the new revision."""
    wanted, available = _count(obj, "desiredNumberScheduled"), _count(obj, "numberAvailable")
    if not is_observed(obj) or field(obj, "status", "desiredNumberScheduled") is None:
        return Status(False, "its controller hasn't seen it yet")
    counts = ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady")
    done = all(_count(obj, key) >= wanted for key in counts)
    return READY if done else Status(False, f"{available} of {wanted} pods are available")


def job(obj: Object) -> Status:
    """Ready when it is complete, or suspended on purpose."""
    failed = condition(obj, "Failed")
    if failed is not None and failed.get("status") == "True":
        return Status(False, f"it failed: {said(failed)}", failed=True)
    if holds(obj, "Complete") or field(obj, "spec", "suspend") is True:
        return READY
    counts = ", ".join(f"{_count(obj, key)} {key}" for key in ("active", "succeeded", "failed"))
    return Status(False, f"it isn't complete: {counts}")


def pod(obj: Object) -> Status:
    """Ready when it says so, or has succeeded."""
    phase = field(obj, "status", "phase")
    if phase == "Succeeded" or holds(obj, "Ready"):
        return READY
    if phase == "Failed":
        return Status(False, "it failed", failed=True)
    waits = [found for type_ in ("PodScheduled", "Initialized", "Ready") if (found := condition(obj, type_))]
    unmet = [said(found) for found in waits if found.get("status") != "True" and found.get("message")]
    return Status(False, unmet[0] if unmet else f"its phase is {phase or 'unknown'}")


def definition(obj: Object) -> Status:
    """A custom resource's definition is ready when objects of its kind can be made."""
    if holds(obj, "Established"):
        return READY
    names = condition(obj, "NamesAccepted")
    refused = names is not None and names.get("status") == "False"
    return Status(False, said(names) if refused else "its kind isn't established", failed=refused)


def quota(obj: Object) -> Status:
    """Ready when it is in force."""
    done = field(obj, "spec", "hard") == field(obj, "status", "hard")
    return READY if done else Status(False, "it isn't in force yet")


def volume(obj: Object) -> Status:
    """A volume is ready when a claim can have it, or has."""
    phase = field(obj, "status", "phase")
    return READY if phase in ("Available", "Bound") else Status(False, f"its phase is {phase}")


def secret(obj: Object) -> Status:
    """A service account's token is ready when it is there; other secrets are at once."""
    waits = obj.get("type") == "kubernetes.io/service-account-token" and not obj.get("data")
    return Status(False, "its token isn't there yet") if waits else READY


def anything(obj: Object) -> Status:
    """Any object, by the conditions that most controllers keep (kstatus): used where all are to be waited for."""
    observed = field(obj, "status", "observedGeneration")
    if observed is not None and not is_observed(obj):
        return Status(False, "its controller hasn't seen it yet")
    for type_, bad in (("Stalled", "True"), ("Reconciling", "True"), ("Ready", "False"), ("Ready", "Unknown")):
        found = condition(obj, type_)
        if found is not None and found.get("status") == bad:
            return Status(False, said(found))
    return READY
