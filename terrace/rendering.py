"""An environment's objects of Kubernetes as files, for whoever brings them to the cluster instead of `terrace up`.

No file holds a secret or a generated value: Secrets, and ConfigMaps of generated values, are named and left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from terrace import compliance, config, resolve
from terrace.engine.kubernetes.objects import annotate, to_object
from terrace.engine.model import Diagnostic
from terrace.engine.outline import STAND_IN, outline
from terrace.engine.project import Project
from terrace.engine.state import Resource
from terrace.engine.values import Secret, Unknown, contains
from terrace.errors import InputError, OperationError, OperationErrors

PACKAGE = "kubernetes:"
SYNC_OPTIONS = "argocd.argoproj.io/sync-options"  # Argo CD's, the others are Flux's
# What is data stays when its file goes, or the application that it belongs to.
KEPT = {SYNC_OPTIONS: "Prune=false,Delete=false", "kustomize.toolkit.fluxcd.io/prune": "disabled"}
# What can't be changed in place is made anew.
MADE_ANEW = {SYNC_OPTIONS: "Force=true,Replace=true", "kustomize.toolkit.fluxcd.io/force": "enabled"}
LEAVABLE = ("ConfigMap", "Secret")
WIDEST = 2**31  # no line is folded
LEFT_OUT = "secrets.txt"  # no ending by which kubectl, Argo CD, or Flux would take it for an object
# A text that every parser of YAML takes for a text: kubectl's takes `y`, `1e3`, and `0o7` for something else.
PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./:@-]*[A-Za-z0-9_/]")


@dataclass(frozen=True)
class LeftOut:
    """An object that others refer to, and that no file has; ``keys`` are those of its data."""

    kind: str
    namespace: str
    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Rendering:
    """An environment's objects as files.

    Args:
        environment: The environment.
        files: Name → text. Names sort so that each object comes after those that it needs.
        left_out: The objects that hold secrets or generated values.
        warnings: What rules say that doesn't stop it.
    """

    environment: str
    files: Mapping[str, str]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command that makes what is left out."""
        return f"terrace up {self.environment} --target secrets"

    def document(self) -> dict[str, Any]:
        """Return as JSON data what is left out, and what makes it."""
        return {"left_out": [asdict(each) for each in self.left_out], "make_left_out": self.command}


def render(root: Path, environment: str) -> Rendering:
    """Render an environment by its stack file. Needs no state, no cluster, no network, and no secret.

    Raises:
        InputError: There is no such environment, its files are wrong, or it isn't for a cluster.
        OperationError: The program failed, or a mandatory rule isn't kept.
    """
    loaded = config.load(root, environment)
    spec = loaded.spec
    if spec.target != "kubernetes":
        raise InputError(
            f"{environment} has the target {spec.target}, and only what is in a cluster can be rendered",
            where=loaded.file.value(("config", "terrace:target")),
            fix=f"bring it up: terrace up {environment}; or write `terrace:target: kubernetes`",
        )
    resolve.resolve(loaded)
    found = outline(Project.load(root), environment)
    if found.errors:
        raise OperationError(f"what {environment} would be can't be told", where=environment, why=found.errors[0])
    said = compliance.engine_judge(spec, environment)(found.resources)
    _refuse(environment, said)
    return rendered(environment, found.resources, tuple(each.message for each in said))


def rendered(environment: str, resources: Iterable[Resource], warnings: tuple[str, ...] = ()) -> Rendering:
    """Return the objects among ``resources`` as files.

    Args:
        environment: The environment.
        resources: All that its program asks for, as an outline has it: each after what it needs.
        warnings: What rules say of them.

    Raises:
        ValueError: A value that no file may have stands in an object that can't be left out, or two objects have one
            name (defects of a flavor).
    """
    files: dict[str, str] = {}
    left_out: list[LeftOut] = []
    levels: dict[str, int] = {}
    for resource in resources:
        is_object = resource.type.startswith(PACKAGE)
        level = max((levels.get(urn, 0) for urn in resource.references()), default=0)
        levels[resource.urn] = level + is_object
        if not is_object:
            continue
        if _is_left_out(resource):
            left_out.append(_left_out(resource))
            continue
        document = _document(resource)
        name = f"{level:02}-{document['kind'].lower()}-{document['metadata']['name']}.yaml"
        if name in files:
            raise ValueError(f"{resource.urn}: another object has its kind and name")
        files[name] = head(environment) + _yaml(document)
    left = tuple(sorted(left_out, key=lambda each: (each.kind, each.name)))
    whole = Rendering(environment, files, left, warnings)
    files[LEFT_OUT] = head(environment) + "".join(f"{line}\n" for line in _listed(whole))
    return whole


def head(environment: str) -> str:
    """Return the first line of every file, by which a later run knows it."""
    return f"# Made by `terrace render {environment}`, which overwrites and removes it; do not edit.\n"


def _refuse(environment: str, said: Iterable[Diagnostic]) -> None:
    errors = [OperationError(each.message, where=environment) for each in said if each.severity == "error"]
    if errors:
        raise OperationErrors(errors)


def _is_left_out(resource: Resource) -> bool:
    """Tell whether an object holds what no file may have."""
    kind = resource.inputs["kind"]
    bad = contains(resource.inputs, Secret) or contains(resource.inputs, Unknown) or _is_generated(resource.inputs)
    if bad and kind not in LEAVABLE:
        raise ValueError(f"{resource.urn}: a {kind} holds a secret or generated value, which belongs into a Secret")
    return bad or kind == "Secret"


def _is_generated(value: Any) -> bool:
    return any(STAND_IN in text for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _left_out(resource: Resource) -> LeftOut:
    metadata, data = resource.inputs["metadata"], resource.inputs.get("data")
    keys = data.value if isinstance(data, Secret) else data
    return LeftOut(resource.inputs["kind"], metadata["namespace"], metadata["name"], tuple(sorted(keys or ())))


def _listed(rendering: Rendering) -> Iterator[str]:
    """Yield the lines that say what is left out."""
    yield "# These objects hold secrets or generated values. The others refer to them, and no file has them."
    yield f"# Make them in the cluster before it has the files, and again before changed ones: {rendering.command}"
    for each in rendering.left_out:
        yield f"{each.kind} {each.namespace}/{each.name}: {', '.join(each.keys)}"


def _document(resource: Resource) -> dict[str, Any]:
    """Return an object as the API has it, with what tools of GitOps have to know of it."""
    document = to_object(resource.inputs)
    told = (KEPT if resource.retain_on_delete else {}) | (MADE_ANEW if resource.replace_on_changes else {})
    for key, text in told.items():
        annotate(document, key, text)
    first = ("apiVersion", "kind", "metadata")
    return {key: document[key] for key in (*first, *sorted(set(document) - set(first)))}


class _Dumper(yaml.SafeDumper):
    """Writes texts so that no parser takes them for anything else, and writes out what appears twice."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _represented(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None if PLAIN.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represented)


def _yaml(document: Mapping[str, Any]) -> str:
    """Return YAML that is the same for the same object: its own keys as they come, all below them sorted."""
    parts = ({key: value} for key, value in document.items())
    return "".join(yaml.dump(part, Dumper=_Dumper, allow_unicode=True, width=WIDEST) for part in parts)
