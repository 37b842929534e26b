"""Finds out what is to stand in `images.lock`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from terrace.errors import OperationError, OperationErrors
from terrace.images import Images, lock
from terrace.images.reference import Reference
from terrace.images.registry import Manifest, Registries

AT_ONCE = 8  # requests; a registry that is asked by more at once may refuse


@dataclass(frozen=True)
class Locked:
    """What is to stand in the lock. References are without the spec's registry, as in the lock.

    Args:
        references: All of it.
        moved: Those whose tag stood for something else before; their earlier digests.
        one_platform: Those that are for one platform alone, so that other machines can't run them.
        not_built: Own images that the registry doesn't have yet.
    """

    references: tuple[Reference, ...]
    moved: tuple[Reference, ...]
    one_platform: tuple[Reference, ...]
    not_built: tuple[Reference, ...]


def find(images: Images, registries: Registries) -> Locked:
    """Ask for the digest of every image where ``images`` has it.

    Raises:
        OperationErrors: A registry gives no answer, or lacks an image that others publish.
        InputError: An account at a registry can't be read.
    """
    table = images.table.upstream.values()
    found = ask(images, (image.reference for image in table), registries)
    if lacking := [reference for reference, manifest in found.items() if manifest is None]:
        raise OperationErrors([_lacking(images, reference) for reference in lacking])
    now = dataclasses.replace(images, digests={each.tagged: got.digest for each, got in found.items() if got})
    own = own_images(now, registries)
    found |= own
    before = images.digests or {}
    return Locked(
        tuple(dataclasses.replace(each, digest=got.digest) for each, got in found.items() if got),
        tuple(
            lock.pinned(each, before)
            for each, got in found.items()
            if got and before.get(each.tagged, got.digest) != got.digest
        ),
        tuple(each for each, got in found.items() if got and not got.several_platforms and each not in own),
        tuple(each for each, got in own.items() if got is None),
    )


def own_images(images: Images, registries: Registries) -> dict[Reference, Manifest | None]:
    """Return what the registry has of the images that are built here; nothing where there is no registry.

    Raises:
        OperationErrors: The registry gives no answer.
        InputError: The account at the registry can't be read.
    """
    if not images.registry:
        return {}
    return ask(images, (images.own_image(name).reference for name in images.table.own), registries)


def lock_own(images: Images, registries: Registries, file: Path = lock.LOCK) -> None:
    """Add to the lock what the registry has of the images that are built here; nothing where there is no lock.

    Raises:
        OperationErrors: The registry gives no answer.
        InputError: The account at the registry can't be read.
    """
    digests = images.digests
    if digests is None:
        return
    upstream = (lock.pinned(image.reference, digests) for image in images.table.upstream.values())
    own = own_images(images, registries).items()
    found = [dataclasses.replace(each, digest=got.digest) for each, got in own if got]
    lock.write([*(each for each in upstream if each.digest), *found], file)


def ask(images: Images, references: Iterable[Reference], registries: Registries) -> dict[Reference, Manifest | None]:
    """Return what stands for each of ``references`` where ``images`` has it; None where there is no such tag.

    Raises:
        OperationErrors: A registry gives no answer.
        InputError: An account at a registry can't be read.
    """

    def one(reference: Reference) -> tuple[Reference, Manifest | OperationError | None]:
        try:
            return reference, registries.manifest(images.placed(reference))
        except OperationError as error:
            return reference, error

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(pool.map(one, references))
    errors = [answer for answer in answers.values() if isinstance(answer, OperationError)]
    if errors:
        raise OperationErrors(errors)
    return {reference: answer for reference, answer in answers.items() if not isinstance(answer, OperationError)}


def _lacking(images: Images, reference: Reference) -> OperationError:
    return OperationError(
        "there is no such image",
        where=images.placed(reference).tagged,
        fix="copy it there; `terrace images list <env>` says from where"
        if images.registry
        else "correct its tag in components/images.yaml",
    )
