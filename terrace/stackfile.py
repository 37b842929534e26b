"""A stack file as data that knows the place of every key and value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from terrace.errors import InputError, Location

Path_ = Sequence[str | int]
_SALT = r"v1:[A-Za-z0-9+/=]+:v1:[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+"
CIPHERTEXT = r"v1:[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Constructor(RoundTripConstructor):
    """Leaves dates as text: the spec says what is wrong with one, and where."""


_Constructor.add_constructor(_TIMESTAMP, RoundTripConstructor.construct_yaml_str)


@dataclass(frozen=True)
class StackFile:
    """The content of a YAML mapping with positions.

    Args:
        name: The file's name as errors show it.
        data: Nested mappings and sequences of ruamel.yaml, which carry positions.
    """

    name: str
    data: Any

    def key(self, path: Path_) -> Location:
        """Return where the last key (or item) of ``path`` stands."""
        return self._locate(path, key=True)

    def value(self, path: Path_) -> Location:
        """Return where the value at ``path`` stands."""
        return self._locate(path, key=False)

    def _locate(self, path: Path_, *, key: bool) -> Location:
        """Follow ``path`` as far as the file goes; the rest of it has no place of its own."""
        node, line, column = self.data, 0, 0
        for step in path:
            if isinstance(node, Mapping) and step not in node:
                step = next((key for key in node if str(key) == step), step)
            try:
                of_key = isinstance(node, Mapping) and (key or node[step] is None)  # nothing has no place of its own
                position = node.lc.key(step) if of_key else node.lc.data[step][-2:]
                line, column = position
                node = node[step]
            except (AttributeError, KeyError, IndexError, TypeError):
                break
        return Location(self.name, line + 1, column + 1)

    def secret_problems(self) -> Iterator[tuple[Path_, str]]:
        """Yield the path of each value that can't be decrypted, whatever the passphrase, and what is wrong with it."""
        if self.data.get("secretsprovider") not in (None, "passphrase"):
            return
        salt = self.data.get("encryptionsalt")
        if salt is not None and not re.fullmatch(_SALT, str(salt)):
            yield ("encryptionsalt",), "it isn't a salt that Pulumi writes (v1:…:v1:…:…)"
        for path, secret in _secrets(self.data.get("config"), ("config",)):
            if not re.fullmatch(CIPHERTEXT, str(secret)):
                yield path, "it isn't what `terrace encrypt` prints (v1:…:…)"
            elif salt is None:
                yield path, "it was encrypted with an `encryptionsalt` that this file lacks"


def _secrets(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[Path_, Any]]:
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            yield (*path, "secure"), value["secure"]
            return
        for key, item in value.items():
            yield from _secrets(item, (*path, str(key)))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _secrets(item, (*path, number))


def read(file: Path, name: str) -> StackFile:
    """Read a YAML file whose root is a mapping.

    Raises:
        InputError: It cannot be read, is not YAML, has a key twice, or is not a mapping.
    """
    content = file.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        where = _at(content[: error.start].decode("utf-8"), name)
        raise InputError("the file is not UTF-8 text", where=where, why=error.reason) from None
    try:
        yaml = YAML(typ="rt")
        yaml.Constructor = _Constructor
        data = yaml.load(text)
    except DuplicateKeyError as error:
        raise _duplicate(error, name) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(name, mark.line + 1, mark.column + 1) if mark else name
        raise InputError("this is not YAML", where=place, why=error.problem or error.context) from None
    except ReaderError as error:
        where = _at(text[: error.position], name)
        raise InputError("this is not YAML", where=where, why=str(error).splitlines()[0]) from None
    except ValueError as error:  # a tag that promises another type than the value has
        raise InputError("a value is not of the type that its tag names", where=name, why=str(error)) from None
    except RecursionError:
        raise InputError("its values are nested too deep", where=name) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise InputError("a stack file is a mapping that begins with `config:`", where=Location(name, 1, 1))
    return StackFile(name, data)


def _at(before: str, name: str) -> Location:
    """Return the place that follows the text ``before``."""
    return Location(name, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _duplicate(error: DuplicateKeyError, name: str) -> InputError:
    mark, first = error.problem_mark, error.context_mark
    key = (error.problem or "").split('"')[1] if '"' in (error.problem or "") else "a key"
    return InputError(
        f"{key}: the key stands here twice",
        where=Location(name, mark.line + 1, mark.column + 1) if mark else name,
        why=f"the mapping that begins in line {first.line + 1} has it already" if first else None,
        fix="Keep one of the two.",
    )
