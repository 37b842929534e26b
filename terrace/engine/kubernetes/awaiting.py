"""Waits until an object is ready, or gone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from terrace.engine.errors import StepError
from terrace.engine.kubernetes import related, status
from terrace.engine.kubernetes.cluster import Cluster
from terrace.engine.kubernetes.errors import ApiError, ClusterError
from terrace.engine.kubernetes.objects import Object, annotation, described, field, metadata
from terrace.engine.kubernetes.pods import reasons
from terrace.engine.kubernetes.status import Status
from terrace.engine.kubernetes.wait_for import expressions, reached

SKIP: Final = "pulumi.com/skipAwait"
TIMEOUT: Final = "pulumi.com/timeoutSeconds"
_DEFAULT_SECONDS: Final = 600.0
_SECONDS: Final = {"PersistentVolume": 300.0, "PersistentVolumeClaim": 300.0, "ResourceQuota": 60.0}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0

# Says how far an object is; it is told how many seconds were waited.
_Check: TypeAlias = Callable[[Cluster, Object, float], Status]


def _by_itself(check: Callable[[Object], Status]) -> _Check:
    return lambda _cluster, obj, _waited: check(obj)


_CHECKS: Final[dict[tuple[str, str], _Check]] = {
    ("apps", "DaemonSet"): _by_itself(status.daemon_set),
    ("apps", "Deployment"): _by_itself(status.deployment),
    ("apps", "StatefulSet"): _by_itself(status.stateful_set),
    ("batch", "Job"): _by_itself(status.job),
    ("", "PersistentVolume"): _by_itself(status.volume),
    ("", "PersistentVolumeClaim"): related.claim,
    ("", "Pod"): _by_itself(status.pod),
    ("", "ResourceQuota"): _by_itself(status.quota),
    ("", "Secret"): _by_itself(status.secret),
    ("", "Service"): related.service,
    ("networking.k8s.io", "Ingress"): related.ingress,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _by_itself(status.definition),
}
# Those whose health a refresh looks at, as Pulumi's provider does.
_REFRESHED: Final = {"DaemonSet", "Deployment", "StatefulSet", "Job", "Pod", "Service", "Ingress"}
# Those whose deletion isn't waited for if nothing else of theirs is.
_LEFT_TO_GO: Final = {"DaemonSet", "Deployment", "StatefulSet", "Job", "Pod", "Namespace", "ReplicationController"}


class NotReadyError(Exception):
    """An object is there, but isn't what was asked for.

    Attributes:
        error: What to tell the user.
        live: The object as it was seen last.
    """

    def __init__(self, error: StepError, live: Object) -> None:
        super().__init__(str(error))
        self.error = error
        self.live = live


def seconds(obj: Object, given: float) -> float:
    """How long to wait: as the resource says, as its annotation says, or as is usual for its kind."""
    text = annotation(obj, TIMEOUT)
    if given:
        return given
    return float(text) if text.isdigit() else _SECONDS.get(str(obj.get("kind")), _DEFAULT_SECONDS)


def until_ready(cluster: Cluster, inputs: Object, live: Object, timeout: float) -> Object:
    """Wait until an object is ready; returns it as it is then.

    Raises:
        NotReadyError: It didn't get ready in time, or never will.
    """
    check = _check_of(inputs)
    if check is None:
        return live
    found, start = live, time.monotonic()
    state = check(cluster, live, 0.0)
    for waited in _pauses(start, timeout):
        if state.ready or state.failed:
            break
        seen = _look(cluster, live)
        if seen is None:
            raise NotReadyError(StepError(f"{described(live)} was deleted by somebody else"), found)
        found = seen
        state = check(cluster, found, waited)
    if state.ready:
        return found
    raise NotReadyError(_unready(cluster, found, state, time.monotonic() - start), found)


def complaint(cluster: Cluster, inputs: Object, live: Object) -> str:
    """Why an object that is there isn't ready; empty if it is, or if nobody waits for its kind."""
    check = _check_of(inputs)
    if check is None or inputs.get("kind") not in _REFRESHED:
        return ""
    state = check(cluster, live, _DEFAULT_SECONDS)
    return "" if state.ready else str(_unready(cluster, live, state, 0.0))


def until_gone(cluster: Cluster, inputs: Object, live: Object, timeout: float) -> None:
    """Wait until an object is gone, or another one of its name is there.

    Raises:
        StepError: It stays.
    """
    if annotation(inputs, SKIP) == "true" and inputs.get("kind") in _LEFT_TO_GO:
        return
    start = time.monotonic()
    found: Object | None = live
    for _ in _pauses(start, timeout):
        found = cluster.find(live)
        if found is None or metadata(found).get("uid") != metadata(live).get("uid"):
            return
    holders = ", ".join(metadata(found or live).get("finalizers") or [])
    remaining = [
        status.said(item) for item in field(found, "status", "conditions") or [] if item.get("status") == "True"
    ]
    raise StepError(
        f"{described(live)} isn't gone after {timeout:.0f} s",
        why="; ".join(remaining) or (f"these finalizers keep it: {holders}" if holders else None),
        fix="see to what keeps it, then run the command again",
    )


def _check_of(inputs: Object) -> _Check | None:
    if annotation(inputs, SKIP) == "true":
        return None
    if wanted := expressions(inputs):
        return _by_itself(lambda obj: reached(obj, wanted))
    group = str(inputs.get("apiVersion", "")).rpartition("/")[0]
    found = _CHECKS.get((group, str(inputs.get("kind"))))
    if found is None and os.environ.get("PULUMI_K8S_AWAIT_ALL") == "true":
        return _by_itself(status.anything)
    return found


def _look(cluster: Cluster, live: Object) -> Object | None:
    """The object as it is now; as it was, while the cluster can't tell."""
    try:
        return cluster.find(live)
    except ApiError as error:
        if not error.is_passing:
            raise
    except ClusterError:
        pass  # until the time is over
    return live


def _pauses(start: float, timeout: float) -> Iterator[float]:
    """Rest a little longer each time, until the time is over; gives the seconds that passed."""
    pause = _FIRST_PAUSE
    while (waited := time.monotonic() - start) < timeout:
        time.sleep(min(pause, timeout - waited))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
        yield time.monotonic() - start


def _unready(cluster: Cluster, live: Object, state: Status, waited: float) -> StepError:
    what = f"{described(live)} isn't ready" + (f" after {waited:.0f} s" if waited >= 1 else "")
    return StepError(what, why="; ".join([state.message, *reasons(cluster, live)]))
