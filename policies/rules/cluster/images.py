"""K1: a pod's images are pinned."""

from __future__ import annotations

from collections.abc import Iterator

from policies.cluster import containers, is_workload
from policies.resource import Resource, is_platform
from policies.rule import BY_PROFILE, Rule, Violation
from policies.stack import Stack


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    if is_platform(resource):
        yield from _without_digest(stack)
        return
    for container in containers(resource):
        image = container["image"]
        name, _, digest = image.text.partition("@")
        tag = name.rpartition("/")[2].partition(":")[2]
        if not digest and tag in ("", "latest"):
            yield Violation(image.path, "what the image holds may change from one pod to the next")


def _without_digest(stack: Stack) -> Iterator[Violation]:
    """Tell once of the whole stack, and not of each pod, what one command mends."""
    images = [container["image"] for each in stack.workloads for container in containers(each)]
    missing = {image.text for image in images if "@sha256:" not in image.text}
    if missing:
        yield Violation("images", f"{len(missing)} images are known by a tag alone, which may be moved", BY_PROFILE)


RULE = Rule(
    id="K1",
    title="images are pinned",
    why="What was tested isn't what runs: whoever may write to the registry puts another image under the name.",
    severity="high",
    from_tier=1,
    controls={"soc2": ("CC8.1",), "iso27001": ("8.9",)},
    fix="a tag of its own in `components/images.yaml`; `terrace images lock` writes the digests",
    of=lambda resource: is_workload(resource) or is_platform(resource),
    check=_check,
    whole_stack=True,
    stricter={BY_PROFILE: "each is known by its digest"},
)
