"""K11: what people and programs ask for is there while a node is emptied."""

from __future__ import annotations

from collections.abc import Iterator

from policies.cluster import is_kind, kind_of, namespace_of, pod_labels
from policies.resource import Resource
from policies.rule import Rule, Violation
from policies.stack import Stack

# Slots whose services keep nothing in their pods. What has a volume can't be in two places.
ANSWERING = frozenset({"data_versioning", "feature_store", "gateway", "portal", "tracking"})
FEWEST = 2


def _of(resource: Resource) -> bool:
    return kind_of(resource) == "Deployment" and resource.slot in ANSWERING


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    replicas = resource.own["spec"]["replicas"]
    if (replicas.number or 1) < FEWEST:
        yield Violation(replicas.path, "it is away while its node is")
    elif not any(_guards(each, resource) for each in stack.having(is_kind("PodDisruptionBudget"))):
        yield Violation("metadata.name", "who empties nodes may take all of its pods at once")


def _guards(budget: Resource, resource: Resource) -> bool:
    spec = budget.own["spec"]
    wanted = {name: label.text for name, label in spec["selector"]["matchLabels"].items()}
    fewest, most = spec["minAvailable"].number, spec["maxUnavailable"].number
    leaves = (fewest or 0) >= 1 or (most is not None and most < (resource.own["spec"]["replicas"].number or 1))
    same = namespace_of(budget) == namespace_of(resource)
    return same and leaves and bool(wanted) and wanted.items() <= pod_labels(resource).items()


RULE = Rule(
    id="K11",
    title="services outlive a node",
    why="Each update of the cluster, and each node that fails, stops predictions and people's work.",
    severity="medium",
    from_tier=4,
    controls={"soc2": ("A1.2",), "iso27001": ("8.14",)},
    fix="`<slot>: {replicas: 2}`, as tier 4 has it",
    of=_of,
    check=_check,
    whole_stack=True,
)
