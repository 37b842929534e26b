"""A new environment's stack file: like another one, with secrets and ports of its own."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from terrace import config
from terrace.errors import InputError, OperationError, TerraceError
from terrace.resolve import resolve

STEP = 1000  # ports move by multiples of this, so that they stay recognisable
HIGHEST_PORT = 65535


def stack_file_like(root: Path, source: str, *, tier: int | None = None, shift: int | None = None) -> str:
    """Return the text of a stack file like that of the environment ``source``, comments and all.

    Args:
        root: The project's folder.
        source: The environment to follow.
        tier: The new environment's tier, if it is another one.
        shift: By how much its ports are higher; by default so that none is another environment's.

    Raises:
        InputError: ``source`` is wrong, or holds secrets, which nothing but its own salt can open.
        OperationError: There is no room for its ports.
    """
    loaded = config.load(root, source)
    file = root / "stacks" / f"Pulumi.{source}.yaml"
    text = re.sub(r"(?m)^encryptionsalt:.*\n", "", file.read_text(encoding="utf-8"))
    if re.search(r"\bsecure:", text):
        raise InputError(
            f"{source} has secrets, which can't be copied",
            where=loaded.file.name,
            fix="Start from an environment without any, and put in what `terrace encrypt` prints.",
        )
    if tier is not None:
        loaded = replace(loaded, spec=loaded.spec.model_copy(update={"tier": tier}))
    ports = resolve(loaded).ports
    by = _free_shift(root, set(ports.values())) if shift is None else shift
    return _changed(text, tier, {path: port + by for path, port in ports.items() if by})


def _changed(text: str, tier: int | None, ports: Mapping[str, int]) -> str:
    """Return a stack file's text with another tier, if one is given, and other ports, by ``slot.option``."""
    yaml = YAML(typ="rt")
    yaml.width = 120
    document = yaml.load(text)
    own: dict[str, Any] = document["config"]
    if tier is not None:
        own["terrace:tier"] = tier
    if own.get("terrace:platform") is None:
        own["terrace:platform"] = {}
    platform = own["terrace:platform"]
    platform.pop("statements", None)  # an owner makes them, of one environment
    for path, port in ports.items():
        slot, option = path.split(".")
        if not platform.get(slot):
            platform[slot] = {}
        platform[slot][option] = port
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def _free_shift(root: Path, ports: set[int]) -> int:
    taken: set[int] = set()
    for environment in config.environments(root):
        try:
            taken |= set(resolve(config.load(root, environment)).ports.values())
        except TerraceError:  # it says so itself when it is used
            continue
    for shift in range(0, HIGHEST_PORT - max(ports, default=0) + 1, STEP):
        if not {port + shift for port in ports} & taken:
            return shift
    raise OperationError("there is no room for another environment's ports", fix="Write them yourself.")
