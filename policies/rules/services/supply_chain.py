"""M20: what is installed is pinned and checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack

PINNED = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?==[^\s;]+")
HASHED = re.compile(r"--hash=(sha256|sha384|sha512):[0-9a-f]{64,128}(?=\s|$)")
FETCHES = frozenset({"curl", "wget", "pip", "pip3", "npm", "git", "easy_install"})


def _of(resource: Resource) -> bool:
    return is_service(resource) or resource.role == "base"


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    if resource.role == "base":
        lock = resource.variables["base_uv_lock"]
        if not lock.text:
            yield Violation(lock.path, "what installs everything is not locked itself")
    else:
        lock = resource.variables["service_python_lock"]
        if not lock.text and any(_has_own_environment(resource, word.text) for word in resource.words()):
            yield Violation(lock.path, "nothing says what its Python environment is made of")
    yield from (Violation(lock.path, problem) for problem in problems(lock.text))
    for word in resource.runs(FETCHES):
        yield Violation(word.path, "the command fetches what no lock knows")


def _has_own_environment(resource: Resource, word: str) -> bool:
    return f"/{resource.variables['service_name'].text}/venv/bin/" in word


@lru_cache(maxsize=64)
def problems(lock: str) -> tuple[str, ...]:
    """Return what is wrong with a lock, a requirements file with hashes, by line."""
    return tuple(f"line {line}: {problem}" for line, text in _requirements(lock) if (problem := _problem(text)))


def _requirements(lock: str) -> Iterator[tuple[int, str]]:
    """Yield each requirement with its hashes, and the line that it begins in."""
    begun = 0
    parts: list[str] = []
    for number, line in enumerate(lock.splitlines(), 1):
        plain = line.partition(" #")[0].strip()
        if plain.startswith("#"):
            continue
        begun = begun if parts else number
        parts.append(plain.removesuffix("\\"))
        if not plain.endswith("\\"):
            if any(parts):
                yield begun, " ".join(parts)
            parts = []
    if any(parts):
        yield begun, " ".join(parts)


def _problem(requirement: str) -> str:
    if requirement.startswith("-"):
        return "an option changes where packages come from"
    if not PINNED.match(requirement):
        return "no package that is pinned to one version"
    return "" if HASHED.search(requirement) else "the package has no hash"


RULE = Rule(
    id="M20",
    title="software is pinned and its hashes are checked",
    why="Whoever takes over a package's name or an index runs code on the platform.",
    severity="high",
    from_tier=2,
    controls={"iso27001": ("5.21", "8.28"), "soc2": ("CC8.1",)},
    fix="make the lock anew with `uv pip compile --universal --generate-hashes`",
    of=_of,
    check=_check,
)
