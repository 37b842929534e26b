"""Property values.

A value is None, a bool, a number, a string, a list, a dict with string keys, a `Secret` around any of these, or
`UNKNOWN` (in a preview: known only later). Resource references stay dicts with Pulumi's signature key. Numbers are
floats on the wire and in providers, as with the Pulumi CLI; whole ones are written to the state without a fraction.
"""

from __future__ import annotations

import copy
import json
import math
import struct
from typing import Any, Final

from terrace.engine.errors import StateError, UnsupportedError
from terrace.engine.secrets import Crypter

# Pulumi's wire constants (sdk/go/common/resource/sig, pkg/resource/stack).
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a signature, not a password
RESOURCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
_ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_FLOAT: Final = "8ad145fe-0d11-4827-bfd7-1abcbf086f5c"
UNKNOWN_WIRE: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

MASK: Final = "[secret]"
PROVIDER_KEY: Final = "__provider"


class Unknown:
    """The type of `UNKNOWN`."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Unknown:
        return self

    def __repr__(self) -> str:
        return "[unknown]"


UNKNOWN: Final = Unknown()


class Secret:
    """A secret value. One that was read from the state is decrypted when it is first needed."""

    __slots__ = ("_ciphertext", "_crypter", "_opened", "_value")

    def __init__(self, value: Any) -> None:
        self._value = value
        self._opened = True
        self._ciphertext = ""
        self._crypter: Crypter | None = None

    @classmethod
    def sealed(cls, ciphertext: str, crypter: Crypter) -> Secret:
        """A secret that is still encrypted."""
        secret = cls(None)
        secret._opened = False
        secret._ciphertext = ciphertext
        secret._crypter = crypter
        return secret

    @property
    def value(self) -> Any:
        """The plain value."""
        if not self._opened:
            assert self._crypter is not None  # noqa: S101 - sealed() sets it
            text = self._crypter.decrypt(self._ciphertext, self._crypter.state)
            self._value = decode(json.loads(text), self._crypter)
            self._opened = True
        return self._value

    def seal(self, crypter: Crypter) -> str:
        """The ciphertext; the one that was read is kept, so that an unchanged secret doesn't change the state."""
        if self._crypter is not crypter:
            self._ciphertext = crypter.encrypt(json.dumps(encode(self.value, crypter), separators=(",", ":")))
            self._crypter = crypter
        return self._ciphertext

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        """One that has a ciphertext never changes, so it is shared."""
        return self if self._crypter else Secret(copy.deepcopy(self._value, memo))

    def __repr__(self) -> str:
        return MASK


def encode(value: Any, crypter: Crypter) -> Any:
    """A value as the state has it."""
    if isinstance(value, Secret):
        return {SIGNATURE: SECRET, "ciphertext": value.seal(crypter)}
    if isinstance(value, dict):
        return {key: encode(item, crypter) for key, item in value.items()}
    if isinstance(value, list):
        return [encode(item, crypter) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return {SIGNATURE: _FLOAT, "value": struct.pack(">d", value).hex()}
        return int(value) if value.is_integer() else value
    return UNKNOWN_WIRE if value is UNKNOWN else value


def decode(value: Any, crypter: Crypter) -> Any:
    """The inverse of `encode`.

    Raises:
        UnsupportedError: The state has a value that only the Pulumi CLI can handle (an asset or archive).
    """
    if isinstance(value, dict):
        signature = value.get(SIGNATURE)
        if signature is None or signature == RESOURCE:
            return {key: decode(item, crypter) for key, item in value.items()}
        if signature == SECRET:
            return _decode_secret(value, crypter)
        if signature == _FLOAT:
            return struct.unpack(">d", bytes.fromhex(value["value"]))[0]
        raise _unsupported(signature)
    if isinstance(value, list):
        return [decode(item, crypter) for item in value]
    return UNKNOWN if value == UNKNOWN_WIRE else value


def _decode_secret(value: dict[str, Any], crypter: Crypter) -> Secret:
    if "ciphertext" in value:
        return Secret.sealed(value["ciphertext"], crypter)
    if "plaintext" in value:  # `pulumi stack export --show-secrets`, imported by hand
        return Secret(decode(json.loads(value["plaintext"]), crypter))
    raise StateError("a secret in the state has neither ciphertext nor plaintext", where=crypter.state)


def from_wire(struct_: Any) -> dict[str, Any]:
    """A protobuf Struct as values."""
    return {key: _from_wire(item) for key, item in struct_.fields.items()}


def _from_wire(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text: str = value.string_value
        return UNKNOWN if text == UNKNOWN_WIRE else text
    if kind == "struct_value":
        return _from_signed(from_wire(value.struct_value))
    if kind == "list_value":
        return [_from_wire(item) for item in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)


def _from_signed(value: dict[str, Any]) -> Any:
    signature = value.get(SIGNATURE)
    if signature is None or signature == RESOURCE:
        return value
    if signature == SECRET:
        return Secret(value.get("value"))
    if signature == OUTPUT:
        inner = value.get("value", UNKNOWN)
        return Secret(inner) if value.get("secret") else inner
    raise _unsupported(signature)


def to_wire(values: dict[str, Any], *, secrets: bool) -> Any:
    """Values as a protobuf Struct.

    Args:
        values: The values.
        secrets: Keep secrets and resource references marked (for the program), or plain (for a dynamic provider).
    """
    from google.protobuf import struct_pb2

    result = struct_pb2.Struct()
    result.update(_to_plain(values, secrets))
    return result


def _to_plain(value: Any, secrets: bool) -> Any:
    if isinstance(value, Secret):
        inner = _to_plain(value.value, secrets)
        return {SIGNATURE: SECRET, "value": inner} if secrets else inner
    if isinstance(value, dict):
        if not secrets and value.get(SIGNATURE) == RESOURCE:
            return value["id"] if "id" in value else value["urn"]
        return {key: _to_plain(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_plain(item, secrets) for item in value]
    return UNKNOWN_WIRE if value is UNKNOWN else value


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same; a secret is never the same as a plain value, nor True the same as 1."""
    if isinstance(one, Secret) or isinstance(other, Secret):
        return isinstance(one, Secret) and isinstance(other, Secret) and equal(one.value, other.value)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def reveal(value: Any) -> Any:
    """The value with every secret opened."""
    return _map_secrets(value, reveal)


def mask(value: Any) -> Any:
    """The value with every secret replaced by ``[secret]``, ready to print or to turn into JSON."""
    return _map_secrets(value, lambda _: MASK)


def _map_secrets(value: Any, replace: Any) -> Any:
    if isinstance(value, Secret):
        # Masking mustn't decrypt: a status needs no passphrase.
        return MASK if replace is not reveal else reveal(value.value)
    if isinstance(value, dict):
        return {key: _map_secrets(item, replace) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_secrets(item, replace) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return repr(value) if value is UNKNOWN else value


def contains(value: Any, kind: type) -> bool:
    """Whether a `Secret` (or `Unknown`) stands anywhere in the value."""
    if isinstance(value, kind):
        return True
    if isinstance(value, Secret):
        return contains(value.value, kind)
    if isinstance(value, dict):
        return any(contains(item, kind) for item in value.values())
    return isinstance(value, list) and any(contains(item, kind) for item in value)


def keep_secrets(outputs: dict[str, Any], inputs: dict[str, Any]) -> None:
    """Mark outputs secret whose inputs of the same name are: dynamic providers don't see what is secret."""
    for key, given in inputs.items():
        if key not in outputs:
            continue
        found = outputs[key]
        if isinstance(found, dict) and isinstance(given, dict):
            keep_secrets(found, given)
        elif not isinstance(found, Secret) and contains(given, Secret):
            outputs[key] = Secret(found)


def secret_texts(value: Any) -> set[str]:
    """Every string inside a secret, to remove them from messages."""
    found: set[str] = set()
    _collect(value, inside=False, found=found)
    return found


def _collect(value: Any, *, inside: bool, found: set[str]) -> None:
    if isinstance(value, Secret):
        _collect(value.value, inside=True, found=found)
    elif isinstance(value, dict):
        for key, item in value.items():
            # A release of Helm keeps a copy of all its inputs as one secret; what is secret in them is so by itself.
            known = key == "__inputs" and isinstance(item, Secret)
            _collect(item.value if known else item, inside=inside, found=found)
    elif isinstance(value, list):
        for item in value:
            _collect(item, inside=inside, found=found)
    elif inside and isinstance(value, str) and value:
        found.add(value)


def _unsupported(signature: object) -> UnsupportedError:
    what = "assets and archives" if signature in (_ASSET, _ARCHIVE) else f"values of signature {signature}"
    return UnsupportedError(f"{what} aren't supported by the embedded engine", fix="use --engine pulumi")
