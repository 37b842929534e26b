"""Why something isn't ready: the warnings about it and its pods, and what its containers wrote last."""

from __future__ import annotations

from typing import Any, Final

from terrace.engine.kubernetes.cluster import Cluster
from terrace.engine.kubernetes.errors import ApiError, ClusterError, MissingKindError
from terrace.engine.kubernetes.kinds import Kind
from terrace.engine.kubernetes.objects import Object, field, metadata, name, namespace
from terrace.engine.kubernetes.status import holds

_POD: Final = Kind("", "v1", "Pod")
_EVENT: Final = Kind("", "v1", "Event")
_PODS: Final = 3  # more of the same say nothing new
_EVENTS: Final = 3
_LINES: Final = 5


def reasons(cluster: Cluster, obj: Object) -> list[str]:
    """What is known, in words; nothing if the cluster doesn't tell."""
    try:
        return list(dict.fromkeys([*_warnings(cluster, obj), *_of_pods(cluster, obj)]))
    except (ApiError, ClusterError, MissingKindError):
        return []  # this only explains an error; it mustn't hide it


def _of_pods(cluster: Cluster, obj: Object) -> list[str]:
    found = []
    for pod in [pod for pod in _pods(cluster, obj) if not holds(pod, "Ready")][:_PODS]:
        containers = [
            *(field(pod, "status", "initContainerStatuses") or []),
            *(field(pod, "status", "containerStatuses") or []),
        ]
        found += [_of_container(cluster, pod, container) for container in containers if not container.get("ready")]
        if pod is not obj:
            found += _warnings(cluster, pod)
    return [text for text in found if text]


def _pods(cluster: Cluster, obj: Object) -> list[Object]:
    if obj.get("kind") == "Pod":
        return [obj]
    labels = field(obj, "spec", "selector", "matchLabels") or {}
    if not labels:
        return []
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    return cluster.items(_POD, namespace(obj), labels=selector)


def _warnings(cluster: Cluster, obj: Object) -> list[str]:
    fields = f"involvedObject.uid={metadata(obj).get('uid', '')},type=Warning"
    events = cluster.items(_EVENT, namespace(obj) or "default", fields=fields)
    events.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return [f"{name(obj)}: [{event.get('reason')}] {event.get('message', '')}" for event in events[-_EVENTS:]]


def _of_container(cluster: Cluster, pod: Object, container: Any) -> str:
    waiting = field(container, "state", "waiting") or {}
    ended = field(container, "state", "terminated") or field(container, "lastState", "terminated")
    said = []
    if waiting and waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
        said.append(" ".join(part for part in (f"[{waiting['reason']}]", waiting.get("message") or "") if part))
    if ended and ended.get("reason") != "Completed":
        said.append(f"it ended with exit code {ended.get('exitCode')} ({ended.get('reason')})")
        previous = field(container, "state", "terminated") is None
        said += _last_lines(cluster, pod, container["name"], previous=previous)
    return f"{name(pod)}, container {container['name']}: {'; '.join(said)}" if said else ""


def _last_lines(cluster: Cluster, pod: Object, container: str, *, previous: bool) -> list[str]:
    try:
        text = cluster.logs(pod, container, lines=_LINES, previous=previous).strip()
    except ApiError:
        return []  # its node is away, or has cleaned up
    return [f"its last lines: {text}"] if text else []
