"""Stack file → spec. All errors of a file are raised at once, each with file, line, and column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from terrace import stackfile
from terrace.catalog import Catalog
from terrace.complaints import complaint, fields_at, follows_from_another, nearest
from terrace.errors import InputError, InputErrors
from terrace.spec import LONGEST_ENVIRONMENT, PROBLEMS, PlatformSpec, Practice, Running, Tier
from terrace.stackfile import StackFile
from terrace.tiers import TierTable

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ROOT_KEYS = ("tier", "target", "platform")
NOT_IN_PLATFORM = ("tier", "target", "slots")  # fields of the spec that stand elsewhere in the file
ENVIRONMENT = rf"[a-z][a-z0-9-]{{0,{LONGEST_ENVIRONMENT - 1}}}"


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
        InputError: There is no such environment, it can't be called so, or its file is not a YAML mapping.
        InputErrors: Everything in the file that is not a valid spec.
    """
    return parse(_read(root, environment), environment, catalog or Catalog(), table or TierTable.load())


def load_running(root: Path, environment: str) -> Running:
    """Read only what an operation on a platform that is there needs, whatever else is wrong with the spec.

    Raises:
        InputError: There is no such environment, or its file is not a YAML mapping.
        InputErrors: Everything that is wrong with the spec, if engine or backend are.
    """
    config = _read(root, environment).data.get("config")
    platform = config.get("terrace:platform") if isinstance(config, dict) else None
    own = (
        {name: platform[name] for name in Running.model_fields if name in platform}
        if isinstance(platform, dict)
        else {}
    )
    try:
        return Running.model_validate(_plain(own))
    except ValidationError:
        return load(root, environment).spec


def check_name(environment: str) -> None:
    """Check that an environment can be called so.

    Raises:
        InputError: It can't.
    """
    if not re.fullmatch(ENVIRONMENT, environment):
        raise InputError(
            f"{environment!r} cannot be the name of an environment",
            why="it names system users and folders: up to 12 small letters, digits, and hyphens, a letter first",
            fix="Give it, and its file, another name.",
        )


def _read(root: Path, environment: str) -> StackFile:
    check_name(environment)
    file = root / "stacks" / f"Pulumi.{environment}.yaml"
    if not file.is_file():
        known = environments(root)
        raise InputError(
            f"there is no environment {environment!r}{nearest(environment, known)}",
            where=str(file.parent),
            why=f"there are: {', '.join(known)}" if known else "the folder has no Pulumi.<env>.yaml",
            fix=f"Make it: terrace new {environment}",
        )
    return stackfile.read(file, f"stacks/{file.name}")


def parse(file: StackFile, environment: str, catalog: Catalog, table: TierTable) -> LoadedSpec:
    """Check what a stack file holds and return it as a spec.

    Raises:
        InputErrors: Everything in the file that is not a valid spec.
    """
    reader = _Reader(file, catalog, table)
    spec = reader.read()
    if reader.errors or spec is None:
        raise InputErrors(reader.errors)
    return LoadedSpec(environment, spec, file)


class _Reader:
    """Collects the errors of one file."""

    def __init__(self, file: StackFile, catalog: Catalog, table: TierTable) -> None:
        self.file = file
        self.catalog = catalog
        self.table = table
        self.errors: list[InputError] = []

    def read(self) -> PlatformSpec | None:
        config = self.file.data.get("config")
        config = {} if config is None else config
        if not isinstance(config, dict):
            self._add("config: it is a mapping of keys like `terrace:tier`", ("config",))
            return None
        own = {str(key).partition(":")[2]: value for key, value in config.items() if str(key).startswith("terrace:")}
        for key in sorted(set(own) - set(ROOT_KEYS)):
            self._add_key(
                f"unknown key 'terrace:{key}'", key, ROOT_KEYS, ("config", f"terrace:{key}"), prefix="terrace:"
            )
        for path, text in self.file.secret_problems():
            self._add(
                f"{'.'.join(map(str, path)).removeprefix('config.').removeprefix('terrace:platform.')}: {text}", path
            )
        platform = own.get("platform")
        platform = {} if platform is None else platform
        if not isinstance(platform, dict):
            self._add("terrace:platform: it is a mapping like `{name: platform}`", ("config", "terrace:platform"))
            return None
        if set(platform) == {"secure"}:
            self._add(
                "terrace:platform: it can't be encrypted as a whole, only values in it", ("config", "terrace:platform")
            )
            return None
        spec = self._validate(PlatformSpec, self._general(own, platform))
        target = str(own.get("target", ""))
        # Where the rest is wrong, slots are checked as those of the tier that is written.
        tier_of = spec.tier_of if spec else lambda _: _tier(own.get("tier"))
        slots = {
            slot: options
            for slot, value in platform.items()
            if slot in self.catalog.flavors and (options := self._slot(slot, value, target, tier_of)) is not None
        }
        return spec.model_copy(update={"slots": slots}) if spec else None

    def _general(self, own: Mapping[str, Any], platform: Mapping[str, Any]) -> dict[str, Any]:
        """Return what stands in the file apart from slots."""
        for key in NOT_IN_PLATFORM:
            if key in platform:
                beside = f"; write it beside terrace:platform, as terrace:{key}" if key in ROOT_KEYS else ""
                self._add(f"{key}: unknown key {key!r}{beside}", ("config", "terrace:platform", key), key=True)
        elsewhere = {*self.catalog.flavors, *NOT_IN_PLATFORM}
        general = {key: value for key, value in platform.items() if key not in elsewhere}
        return general | {key: own[key] for key in ("tier", "target") if key in own}

    def _slot(self, slot: str, value: Any, target: str, tier_of: Callable[[Practice], int]) -> BaseModel | None:
        """Return the options of the flavor that is written for ``slot``, or that the target has by default."""
        path = ("config", "terrace:platform", slot)
        on_target = self.table.flavors_on(slot, target, self.catalog)
        if not isinstance(value, dict):
            example = f"`{{flavor: {on_target[0] if on_target else '…'}}}`"
            self._add(f"{slot}: it is a mapping like {example}; a slot cannot be switched off", path)
            return None
        flavor = value.get("flavor", self.table.default_flavor(slot, target, tier_of))
        if flavor is None and "flavor" not in value:  # resolving tells what the target lacks
            return None
        if flavor not in on_target:
            available = f" (available on {target}: {', '.join(on_target) or 'none'})"
            kind = "is not on this target" if flavor in self.catalog.flavors[slot] else f"is not a {slot} flavor"
            self._add(
                f"{slot}.flavor: {flavor!r} {kind}{nearest(str(flavor), on_target)}{available}", (*path, "flavor")
            )
            return None
        return self._validate(self.catalog.spec_type(slot, flavor), {**value, "flavor": flavor}, path, f"{slot}.")

    def _validate(
        self, model: type[Any], data: Mapping[str, Any], path: tuple[str, ...] = (), prefix: str = ""
    ) -> Any | None:
        try:
            return model.model_validate(_plain(data))
        except ValidationError as error:
            details = error.errors(include_url=False)
            for detail in details:
                if not follows_from_another(detail, details):
                    self._add_detail(model, detail, path or ("config",), prefix)
            return None

    def _add_detail(self, model: type[BaseModel], detail: ErrorDetails, path: tuple[str, ...], prefix: str) -> None:
        loc = tuple(step for step in detail["loc"] if not (isinstance(step, str) and step.startswith("<")))
        is_key = loc[-1:] == ("[key]",)
        loc = loc[:-1] if is_key else loc
        where = self._path_of(path, loc)
        root = "terrace:" if path == ("config",) and loc[:1] in (("tier",), ("target",)) else ""
        name = root + prefix + ".".join(str(step) for step in loc)
        if detail["type"] == "extra_forbidden":
            fields = fields_at(model, loc[:-1])
            if path == ("config",) and len(loc) == 1:
                fields = tuple({*fields, *self.catalog.flavors} - set(NOT_IN_PLATFORM))
            self._add_key(f"{name}: unknown key {str(loc[-1])!r}", str(loc[-1]), fields, where)
        elif detail["type"] == "missing":
            self._add(f"{name}: it is missing{self._misplaced(str(loc[-1])) if root else ''}", where[:-1], key=True)
        elif detail["type"] == PROBLEMS:
            for problem in detail["ctx"]["problems"]:
                self._add(".".join(map(str, [*loc, *problem.path])) + f": {problem.text}", (*where, *problem.path))
        else:
            self._add(f"{name}: {complaint(model, detail, loc)}", where, key=is_key)

    def _misplaced(self, key: str) -> str:
        """Return a hint at where a key that belongs to `config` stands instead."""
        config = self.file.data.get("config") or {}
        if key in config:
            return f"; `{key}` under `config` is not it: write `terrace:{key}`"
        if {key, f"terrace:{key}"} & set(self.file.data):
            return f"; write `terrace:{key}` under `config:`"
        return ""

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
        text = f"{what}{nearest(prefix + given, words)} (known: {', '.join(sorted(words))})"
        self._add(text, path, key=True)

    def _add(self, what: str, path: Sequence[str | int], *, key: bool = False) -> None:
        where = self.file.key(path) if key else self.file.value(path)
        self.errors.append(InputError(what, where=where))


def _tier(written: Any) -> Tier:
    try:
        return TypeAdapter(Tier).validate_python(written)
    except ValidationError:
        return 1


def _plain(value: Any) -> Any:
    """Return ruamel's nodes as Python's own."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
