"""Stack file → spec. All errors of a file are raised at once, each with file, line, and column."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from terrace import stackfile
from terrace.catalog import Catalog
from terrace.errors import InputError, InputErrors
from terrace.spec import PlatformSpec
from terrace.stackfile import StackFile
from terrace.tiers import TierTable

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ROOT_KEYS = ("tier", "target", "platform")
FIX_NEW = "Copy stacks/Pulumi.local.yaml to a new environment's file, and change it."


@dataclass(frozen=True)
class LoadedSpec:
    """A spec with the file that it stands in."""

    environment: str
    spec: PlatformSpec
    file: StackFile


def environments(root: Path) -> tuple[str, ...]:
    """Return the names of the environments that have a stack file."""
    return tuple(sorted(file.name.split(".")[1] for file in (root / "stacks").glob("Pulumi.*.yaml")))


def load(root: Path, environment: str, catalog: Catalog | None = None, table: TierTable | None = None) -> LoadedSpec:
    """Read the spec of ``environment`` from ``<root>/stacks``.

    Raises:
        InputError: There is no such environment, or its file is not a YAML mapping.
        InputErrors: Everything in the file that is not a valid spec.
    """
    file = root / "stacks" / f"Pulumi.{environment}.yaml"
    if not file.is_file():
        known = environments(root)
        raise InputError(
            f"there is no environment {environment!r}{_nearest(environment, known)}",
            where=str(file.parent),
            why=f"there are: {', '.join(known)}" if known else "the folder has no Pulumi.<env>.yaml",
            fix=FIX_NEW,
        )
    return parse(
        stackfile.read(file, f"stacks/{file.name}"), environment, catalog or Catalog(), table or TierTable.load()
    )


def parse(file: StackFile, environment: str, catalog: Catalog, table: TierTable) -> LoadedSpec:
    """Check what a stack file holds and return it as a spec.

    Raises:
        InputErrors: Everything in the file that is not a valid spec.
    """
    reader = _Reader(file, catalog, table)
    spec = reader.read()
    if reader.errors or spec is None:
        raise InputErrors(sorted(reader.errors, key=lambda error: (str(error.where), str(error))))
    return LoadedSpec(environment, spec, file)


class _Reader:
    """Collects the errors of one file."""

    def __init__(self, file: StackFile, catalog: Catalog, table: TierTable) -> None:
        self.file = file
        self.catalog = catalog
        self.table = table
        self.errors: list[InputError] = []

    def read(self) -> PlatformSpec | None:
        config = self.file.data.get("config") or {}
        if not isinstance(config, dict):
            self._add("config: it is a mapping of keys like `terrace:tier`", ("config",))
            return None
        own = {str(key).partition(":")[2]: value for key, value in config.items() if str(key).startswith("terrace:")}
        for key in sorted(set(own) - set(ROOT_KEYS)):
            self._add_key(
                f"unknown key 'terrace:{key}'", key, ROOT_KEYS, ("config", f"terrace:{key}"), prefix="terrace:"
            )
        platform = own.get("platform") or {}
        if not isinstance(platform, dict):
            self._add("terrace:platform: it is a mapping", ("config", "terrace:platform"))
            return None
        general = {key: value for key, value in platform.items() if key not in self.catalog.flavors}
        general |= {key: own[key] for key in ("tier", "target") if key in own}
        spec = self._validate(PlatformSpec, general)
        target = str(own.get("target", ""))
        slots = {
            slot: options
            for slot, value in platform.items()
            if slot in self.catalog.flavors and (options := self._slot(slot, value, target)) is not None
        }
        return spec.model_copy(update={"slots": slots}) if spec else None

    def _slot(self, slot: str, value: Any, target: str) -> BaseModel | None:
        """Return the options of the flavor that is written for ``slot``, or that the target has by default."""
        path = ("config", "terrace:platform", slot)
        if not isinstance(value, dict):
            self._add(f"{slot}: it is a mapping like `{{flavor: …}}`", path)
            return None
        on_target = self.table.flavors_on(slot, target, self.catalog)
        flavor = value.get("flavor", self.table.default_flavor(slot, target))
        if flavor not in on_target:
            available = f" (available on {target}: {', '.join(on_target) or 'none'})"
            kind = "is not on this target" if flavor in self.catalog.flavors[slot] else f"is not a {slot} flavor"
            self._add(
                f"{slot}.flavor: {flavor!r} {kind}{_nearest(str(flavor), on_target)}{available}", (*path, "flavor")
            )
            return None
        return self._validate(self.catalog.spec_type(slot, flavor), {**value, "flavor": flavor}, path, f"{slot}.")

    def _validate(
        self, model: type[Any], data: Mapping[str, Any], path: tuple[str, ...] = (), prefix: str = ""
    ) -> Any | None:
        try:
            return model.model_validate(_plain(data))
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                self._add_detail(model, detail, path or ("config",), prefix)
            return None

    def _add_detail(self, model: type[BaseModel], detail: ErrorDetails, path: tuple[str, ...], prefix: str) -> None:
        loc = tuple(
            step
            for step in detail["loc"]
            if not (isinstance(step, str) and step.startswith(("function-", "constrained-")))
        )
        name = prefix + ".".join(str(step) for step in loc)
        where = self._path_of(path, loc)
        if detail["type"] == "extra_forbidden":
            fields = _fields_at(model, loc[:-1])
            known = (*fields, *self.catalog.flavors) if path == ("config",) and len(loc) == 1 else fields
            self._add_key(f"{name}: unknown key {str(loc[-1])!r}", str(loc[-1]), known, where)
        elif detail["type"] == "missing":
            self._add(f"{name}: it is missing", where[:-1], key=True)
        elif detail["type"] == "literal_error":
            allowed = [word.strip("'") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")]
            given = detail["input"]
            self._add(
                f"{name}: {given!r} is not allowed{_nearest(str(given), allowed)} (allowed: {', '.join(allowed)})",
                where,
            )
        else:
            text = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            given = f"{detail['input']!r}: " if isinstance(detail["input"], (str, int, float, bool)) else ""
            expected = "it should be " if detail["msg"].startswith("Input should be ") else ""
            self._add(f"{name}: {given}{expected}{text}" if name else text, where)

    def _path_of(self, path: tuple[str, ...], loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
        if path != ("config",):
            return (*path, *loc)
        if loc and loc[0] in ("tier", "target"):
            return ("config", f"terrace:{loc[0]}", *loc[1:])
        return ("config", "terrace:platform", *loc)

    def _add_key(
        self, what: str, given: str, known: Iterable[str], path: tuple[str | int, ...], prefix: str = ""
    ) -> None:
        words = [prefix + word for word in known]
        text = f"{what}{_nearest(prefix + given, words)} (known: {', '.join(sorted(words))})"
        self._add(text, path, key=True)

    def _add(self, what: str, path: tuple[str | int, ...], *, key: bool = False) -> None:
        where = self.file.key(path) if key else self.file.value(path)
        self.errors.append(InputError(what, where=where))


def _nearest(given: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(given, list(known), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def _plain(value: Any) -> Any:
    """Return ruamel's nodes as Python's own."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _fields_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> tuple[str, ...]:
    """Return the keys that are known where ``loc`` leads."""
    for step in loc:
        field = model.model_fields.get(str(step))
        if field is None:
            continue
        inner = [kind for kind in _models_in(field.annotation)]
        if inner:
            model = inner[0]
    return tuple(field.alias or name for name, field in model.model_fields.items() if not field.exclude)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _models_in(part)]
