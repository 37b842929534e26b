"""Reads ``Pulumi.<stack>.yaml`` as the Pulumi CLI does, and adds the encryption salt to it once."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrace.engine.errors import UnsupportedError
from terrace.engine.files import write_durably
from terrace.engine.secrets import Crypter
from terrace.errors import InputError

_PLAIN_NUMBERS = 1e21  # larger ones Go writes with an exponent
_SALT_LINE = re.compile(r"^encryptionsalt:", re.MULTILINE)


@dataclass(frozen=True)
class StackFile:
    """A stack file.

    Attributes:
        path: The file, whether it exists or not.
        salt: Its ``encryptionsalt``, or empty.
        config: Its ``config`` as written; secure values are ``{"secure": ciphertext}``.
    """

    path: Path
    salt: str
    config: dict[str, Any]

    @classmethod
    def load(cls, path: Path, project: str) -> StackFile:
        """Read a stack file; an absent one is empty. Keys without a namespace get the project's.

        Raises:
            InputError: It isn't YAML or has another shape.
            UnsupportedError: Its secrets need another provider than a passphrase, or it imports an ESC environment.
        """
        document = _read(path)
        for key in ("secretsprovider", "encryptedkey", "environment"):
            value = document.get(key)
            if value and value != "passphrase":
                raise UnsupportedError(
                    f"`{key}` isn't supported by the embedded engine", where=str(path), fix="use --engine pulumi"
                )
        config = document.get("config") or {}
        if not isinstance(config, dict):
            raise InputError("`config` isn't a mapping", where=str(path))
        named = {key if ":" in str(key) else f"{project}:{key}": value for key, value in config.items()}
        return cls(path, str(document.get("encryptionsalt") or ""), named)

    def recorded(self) -> dict[str, Any]:
        """The config as the CLI notes it in a stack's history: still encrypted, numbers and dates as Go writes them."""
        objects = (dict, list)
        return {
            key: _plain(value) if isinstance(value, objects) else as_text(value) for key, value in self.config.items()
        }

    def has_secrets(self) -> bool:
        """Whether any value is encrypted."""
        return any(_is_secret(value) for value in self.config.values())

    def values(self, crypter: Crypter) -> dict[str, str]:
        """The values as a program gets them: decrypted, each a string, objects as JSON."""
        return {key: as_text(_decrypt(value, crypter)) for key, value in self.config.items()}

    def secrets(self, crypter: Crypter) -> list[str]:
        """Every value that is encrypted, also inside of others."""
        return [crypter.decrypt(ciphertext) for value in self.config.values() for ciphertext in _ciphertexts(value)]

    def secret_keys(self) -> list[str]:
        """The keys whose values are or contain secrets."""
        return [key for key, value in self.config.items() if _is_secret(value)]


def ensure_encryption_salt(path: Path, salt: str) -> None:
    """Add ``encryptionsalt`` to a stack file that has none. Everything else in it stays as it is, byte by byte."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if _SALT_LINE.search(text):
        return
    lines = text.splitlines(keepends=True)
    place = next(
        (number for number, line in enumerate(lines) if line.strip() and not line.startswith(("#", "---", "%"))),
        len(lines),
    )
    if place and not lines[place - 1].endswith("\n"):
        lines[place - 1] += "\n"
    lines.insert(place, f"encryptionsalt: {salt}\n")
    mode = path.stat().st_mode if path.exists() else 0o644
    write_durably(path, "".join(lines).encode())
    path.chmod(mode)


def _read(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except YAMLError as error:
        raise InputError("not YAML", where=str(path), why=str(error)) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InputError("not a mapping", where=str(path))
    return document


def _plain(value: Any) -> Any:
    """A value with numbers and dates as Go writes them."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _PLAIN_NUMBERS:
        return int(value)
    if isinstance(value, datetime.date):
        time = value if isinstance(value, datetime.datetime) else datetime.datetime(value.year, value.month, value.day)
        return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
    return value


def _secure(value: Any) -> str | None:
    if isinstance(value, dict) and set(value) == {"secure"} and isinstance(value["secure"], str):
        return value["secure"]
    return None


def _items(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _is_secret(value: Any) -> bool:
    return _secure(value) is not None or any(_is_secret(item) for item in _items(value))


def _ciphertexts(value: Any) -> Iterator[str]:
    if (ciphertext := _secure(value)) is not None:
        yield ciphertext
    for item in _items(value) if ciphertext is None else ():
        yield from _ciphertexts(item)


def _decrypt(value: Any, crypter: Crypter) -> Any:
    if (ciphertext := _secure(value)) is not None:
        return crypter.decrypt(ciphertext)
    if isinstance(value, dict):
        return {str(key): _decrypt(item, crypter) for key, item in value.items()}
    if isinstance(value, list):
        return [_decrypt(item, crypter) for item in value]
    return value


def as_text(value: Any) -> str:
    """A value as the Pulumi CLI hands it to a program."""
    if value is None:
        return ""
    value = _plain(value)
    if isinstance(value, str):
        return value
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    for character in "<>&\u2028\u2029":  # as Go's encoder writes them, so that both engines see the same text
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
