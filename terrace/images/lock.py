"""`components/images.lock`: the digest behind each image's tag, as `terrace images lock` found it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from terrace.engine.files import write_durably
from terrace.errors import InputError, InputErrors, Location
from terrace.images.reference import Reference, parse

LOCK = Path(__file__).parents[2] / "components" / "images.lock"
HEADER = """\
# The digest behind each image's tag. Made by `terrace images lock` and `terrace images build --push`; commit it.
"""
_FORM = "{!r} is not written as repository:tag@sha256:…"


def read(file: Path = LOCK) -> dict[str, str] | None:
    """Return ``repository:tag`` → digest, repositories as the list has them; None without a lock.

    Raises:
        InputErrors: What in the file is no pinned image, or pinned twice.
    """
    if not file.is_file():
        return None
    digests: dict[str, str] = {}
    errors: list[InputError] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        reference = parse(line.strip())
        if reference and digests.setdefault(reference.tagged, reference.digest) == reference.digest:
            continue
        what = f"{reference.tagged} has another digest further up" if reference else _FORM.format(line.strip())
        where = Location(f"components/{file.name}", number, 1)
        errors.append(InputError(what, where=where, fix="remove the file, and make it anew: terrace images lock"))
    if errors:
        raise InputErrors(errors)
    return digests


def write(references: Iterable[Reference], file: Path = LOCK) -> None:
    """Replace the lock by ``references``, in their order by name."""
    lines = [f"{reference.tagged}@{reference.digest}\n" for reference in sorted(references)]
    write_durably(file, (HEADER + "".join(lines)).encode())
    file.chmod(0o644)  # it is committed, and holds nothing that others may not see


def pinned(reference: Reference, digests: Mapping[str, str]) -> Reference:
    """Return ``reference`` with the digest that the lock has for it, if it has one."""
    return Reference(reference.repository, reference.tag, digests.get(reference.tagged, ""))
