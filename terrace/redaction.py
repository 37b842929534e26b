"""Takes secrets out of texts that people and programs get to see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from terrace.password import PASSWORD_CHARACTERS

SHORTEST_SECRET = 8  # shorter values are no secrets, and redacting them would make errors unreadable
_SECRET_NAMES = ("password", "secret", "package_index", "proxy")
# What a secret text or a file may hold among other things:
_GENERATED = re.compile(rf"(?<![\w-])[\w-]{{{PASSWORD_CHARACTERS}}}(?![\w-])")
_IN_ADDRESS = re.compile(r"://[^\s:/@]*:([^\s/@]+)@")
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)-----END", re.DOTALL)


def redact(text: str, variables: Mapping[str, Any]) -> str:
    """Return ``text`` with every value of ``variables`` that may be a secret replaced by ``[secret]``.

    Secrets are whole texts under a name like a password or an environment of secrets; and what stands in these and in
    files: the values of JSON, passwords of addresses and those that Terrace generates, private keys, and files of one
    line.
    """
    for value in sorted(set(_secrets(variables)), key=len, reverse=True):
        text = text.replace(value, "[secret]")
    return text


def _secrets(variables: Mapping[str, Any]) -> Iterator[str]:
    for name, value in variables.items():
        if any(word in str(name) for word in _SECRET_NAMES):
            for text in _texts(value):
                yield from _long(text)
                yield from _within(text)
        elif name == "content" and isinstance(value, str):
            if "\n" not in value.strip():
                yield from _long(value.strip())
            yield from _within(value)
        else:
            for part in value if isinstance(value, list) else (value,):
                if isinstance(part, Mapping):
                    yield from _secrets(part)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _texts(part)


def _within(text: str) -> Iterator[str]:
    for found in (*_GENERATED.findall(text), *_IN_ADDRESS.findall(text)):
        yield from _long(found)
    for key in _KEY.findall(text):
        yield from (line for line in key.split() if line)
    if text.lstrip().startswith(("{", "[")):
        try:
            parts = list(_texts(json.loads(text)))
        except ValueError:
            return
        for part in parts:
            yield from _long(part)


def _long(text: str) -> Iterator[str]:
    if len(text) >= SHORTEST_SECRET:
        yield text
