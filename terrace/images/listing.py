"""All images of the platform, with where each comes from and where a cluster looks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from terrace.images import Images, lock


@dataclass(frozen=True)
class Listed:
    """An image.

    Args:
        name: Its name in `components/images.yaml`.
        source: Where to copy it from; None where it is built here.
        destination: Where to copy, or to push, it to; None where the environment names no registry.
        image: What a cluster pulls.
        locked: Whether that is by a digest.
        use: What the platform has it for.
    """

    name: str
    source: str | None
    destination: str | None
    image: str
    locked: bool
    use: str


def listed(images: Images) -> Iterator[Listed]:
    """Yield all images, those that others publish first."""
    digests = images.digests or {}
    for name, image in images.table.upstream.items():
        known = lock.pinned(image.reference, digests)
        there = images.placed(known)
        destination = there.tagged if images.registry else None
        yield Listed(name, str(known), destination, str(there), bool(known.digest), image.use)
    for name in images.table.own:
        reference = images.own_image(name).reference
        there = images.placed(lock.pinned(reference, digests) if images.registry else reference)
        destination = there.tagged if images.registry else None
        yield Listed(name, None, destination, str(there), bool(there.digest), f"components/locks/{name}.txt")
