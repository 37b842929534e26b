"""Kubernetes objects as plain dictionaries, and as the engine's property values."""

from __future__ import annotations

import base64
import binascii
import copy
from typing import Any, Final, TypeAlias

from terrace.engine.provider import Values
from terrace.engine.values import RESOURCE, SIGNATURE, Secret, Unknown, contains, keep_secrets

Object: TypeAlias = dict[str, Any]

AUTONAMED: Final = "pulumi.com/autonamed"
# What Pulumi's SDKs can't write with a dash (pulumi-kubernetes, provider.go).
_DASHED: Final = {
    f"x_kubernetes_{name.replace('-', '_')}": f"x-kubernetes-{name}"
    for name in (
        "embedded-resource",
        "int-or-string",
        "list-map-keys",
        "list-type",
        "map-type",
        "preserve-unknown-fields",
        "validations",
    )
}
_UNDERSCORED: Final = {dashed: key for key, dashed in _DASHED.items()}
# What the server alone writes in an object's metadata.
_READ_ONLY: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
)


def to_object(values: Values) -> Object:
    """Property values as a Kubernetes object: no secrets, whole numbers as integers; unknown values stay."""
    result: Object = _plain(values)
    return result


def to_values(obj: Object) -> Values:
    """The inverse: keys as Pulumi's SDKs know them."""
    result: Values = _renamed(obj, _UNDERSCORED)
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return _plain(value.value)
    if isinstance(value, dict):
        if value.get(SIGNATURE) == RESOURCE:  # another resource stands for its id
            return value.get("id", value["urn"])
        return {_DASHED.get(key, key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


def is_known(value: Any) -> bool:
    """Whether nothing in it is known only later."""
    return not contains(value, Unknown)


def metadata(obj: Object) -> Object:
    """The object's metadata; empty if it has none, or if they are unknown."""
    found = obj.get("metadata")
    return found if isinstance(found, dict) else {}


def name(obj: Object) -> Any:
    """The object's name; empty if it has none."""
    return metadata(obj).get("name") or ""


def namespace(obj: Object) -> Any:
    """The object's namespace; empty if it has none."""
    return metadata(obj).get("namespace") or ""


def annotation(obj: Object, key: str) -> str:
    """An annotation's text; empty if there is none."""
    annotations = metadata(obj).get("annotations")
    found = annotations.get(key) if isinstance(annotations, dict) else None
    return found if isinstance(found, str) else ""


def annotate(obj: Object, key: str, text: str) -> None:
    """Set an annotation, unless the object's annotations are unknown."""
    annotations = obj["metadata"].setdefault("annotations", {})
    if isinstance(annotations, dict):
        annotations[key] = text


def field(obj: Any, *path: str) -> Any:
    """What stands at a path of keys; None if nothing does."""
    for key in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(key)
    return obj


def identifier(obj: Object) -> str:
    """The id that Pulumi gives to an object."""
    return f"{namespace(obj)}/{name(obj)}" if namespace(obj) else str(name(obj))


def described(obj: Object) -> str:
    """An object as messages call it."""
    return f"{obj.get('kind', 'object')} {identifier(obj)}"


def is_secret(obj: Object) -> bool:
    """Whether it is a Kubernetes Secret."""
    return obj.get("apiVersion") == "v1" and obj.get("kind") == "Secret"


def is_crd(obj: Object) -> bool:
    """Whether it defines a custom resource."""
    return obj.get("kind") == "CustomResourceDefinition" and str(obj.get("apiVersion", "")).startswith(
        "apiextensions.k8s.io/"
    )


def normalized(obj: Object) -> Object:
    """The object without what only the server writes, and in the form in which the server gives it back."""
    result = copy.deepcopy(obj)
    for key in _READ_ONLY:
        metadata(result).pop(key, None)
    if is_secret(result):
        _normalize_secret(result)
    elif is_crd(result):
        result.pop("status", None)
        if field(result, "spec", "preserveUnknownFields") is False:
            del result["spec"]["preserveUnknownFields"]
    return result


def _normalize_secret(obj: Object) -> None:
    """What stands in ``stringData`` belongs into ``data``, in base64 as the server writes it."""
    texts, data = obj.get("stringData"), obj.get("data")
    if isinstance(data, dict):
        obj["data"] = {key: _reencoded(value) for key, value in data.items()}
    if isinstance(texts, dict) and texts and is_known(texts):
        encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
        obj["data"] = {**obj.get("data", {}), **encoded}
        del obj["stringData"]


def _reencoded(value: Any) -> Any:
    try:
        return base64.b64encode(base64.b64decode(value)).decode()
    except (binascii.Error, TypeError, ValueError):
        return value  # the server says what is wrong with it


def pruned(source: Object, shape: Object) -> Object:
    """Those parts of ``source`` that ``shape`` has too."""
    return {key: _pruned(value, shape[key]) for key, value in source.items() if key in shape}


def _pruned(value: Any, shape: Any) -> Any:
    if isinstance(value, dict) and isinstance(shape, dict):
        return pruned(value, shape)
    if isinstance(value, list) and isinstance(shape, list):
        if value and shape and type(value[0]) is not type(shape[0]):
            return value
        return [_pruned(item, like) for item, like in zip(value, shape, strict=False)]
    return value


def hide_secrets(values: Values, like: Values) -> Values:
    """Mark secret what is secret in ``like``, and all data of a Kubernetes Secret. Changes and returns ``values``."""
    if values.get("kind") == "Secret":
        for key in ("data", "stringData"):
            if key in values and not isinstance(values[key], Secret):
                values[key] = Secret(values[key])
    else:
        keep_secrets(values, like)
    return values
