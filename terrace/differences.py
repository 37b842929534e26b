"""How two environments' stack files differ, and whether they may."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from terrace.config import LoadedSpec
from terrace.errors import InputError
from terrace.spec import Model

FILE = Path("stacks") / "differences.yaml"
SECRET = "[secret]"  # noqa: S105 (what is shown in place of one)
ABSENT = None


class AllowedDifference(Model):
    """A key in which environments may differ, and why."""

    path: str = Field(
        min_length=1, description="Dotted path in the stack file; `*` stands for a name or a part of one."
    )
    why: str = Field(min_length=1)

    def covers(self, path: str) -> bool:
        """Return whether ``path`` is this one or lies below it."""
        ours, parts = self.path.split("."), path.split(".")
        return len(parts) >= len(ours) and all(map(fnmatchcase, parts, ours))


class AllowedDifferences(Model):
    """The content of ``stacks/differences.yaml``."""

    allowed: tuple[AllowedDifference, ...] = ()

    @classmethod
    def load(cls, root: Path) -> AllowedDifferences:
        """Read the project's list; without one, environments may differ in nothing.

        Raises:
            InputError: The file is not such a list.
        """
        path = root / FILE
        if not path.is_file():
            return cls()
        try:
            return cls.model_validate(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or {})
        except (YAMLError, ValidationError) as error:
            raise InputError(
                "this is not a list of allowed differences",
                where=str(path),
                why=str(error),
                fix="write it as `allowed: [{path: …, why: …}]`",
            ) from None


@dataclass(frozen=True)
class Difference:
    """A key whose values differ; a value is None where the key is absent. ``why`` is empty where it may not differ."""

    path: str
    left: Any
    right: Any
    why: str

    @property
    def allowed(self) -> bool:
        """Whether the list allows it."""
        return bool(self.why)


def compare(left: LoadedSpec, right: LoadedSpec, allowed: AllowedDifferences) -> list[Difference]:
    """Return every key that the user wrote differently in two stack files, in the order of their paths.

    Two secrets count as the same: each environment encrypts with its own key.
    """
    ours, theirs = dict(_keys(left)), dict(_keys(right))
    return [
        Difference(path, ours.get(path, ABSENT), theirs.get(path, ABSENT), _why(path, allowed))
        for path in sorted(ours.keys() | theirs.keys())
        if ours.get(path, ABSENT) != theirs.get(path, ABSENT)
    ]


def _why(path: str, allowed: AllowedDifferences) -> str:
    return next((each.why for each in allowed.allowed if each.covers(path)), "")


def _keys(loaded: LoadedSpec) -> Iterator[tuple[str, Any]]:
    for key, value in loaded.file.data["config"].items():
        yield from _leaves(str(key).removeprefix("terrace:"), value)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and set(value) == {"secure"}:
        yield path, SECRET
    elif isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    else:
        yield path, value
