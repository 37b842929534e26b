"""Helm releases (``helm.sh/v3:Release``), with the state that Pulumi's provider keeps of them."""

from __future__ import annotations

import copy
from typing import Any, Final

import yaml

from terrace.engine.diff import Diff
from terrace.engine.errors import PartialError, StepError
from terrace.engine.kubernetes import helm
from terrace.engine.kubernetes.changes import changes, without
from terrace.engine.kubernetes.helm import Helm, HelmError
from terrace.engine.kubernetes.names import unique
from terrace.engine.kubernetes.objects import is_known, to_object
from terrace.engine.kubernetes.settings import Settings
from terrace.engine.provider import Failure, Found, Values
from terrace.engine.state import Resource, name_of
from terrace.engine.values import UNKNOWN, Secret, keep_secrets

_TIMEOUT: Final = 300.0
_INPUTS: Final = "__inputs"
_COMPUTED: Final = ("resourceNames", "status")


class Releases:
    """Handles the releases of one cluster, by the ``helm`` command.

    Args:
        settings: Which cluster, and as whom.
    """

    def __init__(self, settings: Settings) -> None:
        self._helm = Helm(settings)

    def check(self, urn: str, old: Values | None, new: Values, namespace: str) -> tuple[Values, list[Failure]]:
        """Name the release, and find out which version of its chart it would have."""
        release = {key: value for key, value in to_object(new).items() if key not in _COMPUTED}
        if why := helm.refusal(release):
            return new, [Failure("", why)]
        if not release.get("name"):
            release["name"] = to_object(old)["name"] if old and old.get("name") else unique(f"{name_of(urn)}-")
        release["namespace"] = release.get("namespace") or namespace
        if not release.get("skipAwait"):
            release.setdefault("timeout", _TIMEOUT)
        if is_known(release) and helm.is_installed():
            try:
                release["version"] = self._helm.chart_version(release)
            except HelmError as error:
                return new, [Failure("chart", str(error))]
        keep_secrets(release, new)
        return release, []

    def diff(self, old: Resource, new: Values) -> Diff:
        """Compare the inputs, and the release's values as they were seen last."""
        wanted = to_object(new)
        before = {**_asked(old), **{key: value for key, value in to_object(old.outputs).items() if key in wanted}}
        for key in _COMPUTED:
            before.pop(key, None)
        found = without(
            changes({key: value for key, value in before.items() if key != _INPUTS}, wanted), old.ignore_changes
        )
        replaces = tuple(change.path for change in found if change.path in (("name",), ("namespace",)))
        keys = tuple(sorted({str(change.path[0]) for change in found}))
        return Diff(
            bool(found),
            changed_keys=keys,
            detailed=tuple(change.path for change in found),
            replace=bool(replaces),
            replace_paths=replaces,
        )

    def create(self, new: Resource) -> tuple[str, Values]:
        """Install."""
        release = to_object(new.inputs)
        identifier = f"{release['namespace']}/{release['name']}"
        try:
            self._helm.install(release)
        except HelmError as error:
            self._explain(identifier, new, error)
        return identifier, self._outputs(release, new)

    def update(self, old: Resource, new: Resource) -> Values:
        """Upgrade."""
        release = to_object(new.inputs)
        try:
            self._helm.upgrade(release)
        except HelmError as error:
            self._explain(old.id, new, error)
        return self._outputs(release, new)

    def read(self, resource: Resource) -> Found:
        """Look at the release as it is now."""
        namespace, _, name = resource.id.rpartition("/")
        known = to_object(resource.outputs)
        known.pop(_INPUTS, None)
        found = self._find(known.get("name") or name, known.get("namespace") or namespace)
        if found is None:
            return Found("", None, {})
        inputs = resource.inputs or _imported(found)
        outputs = _with_found({**to_object(inputs), **known}, found)
        return Found(resource.id, inputs, _checkpoint(outputs, inputs))

    def delete(self, old: Resource) -> None:
        """Uninstall."""
        release = to_object(old.outputs)
        try:
            self._helm.uninstall(release)
        except HelmError as error:
            raise StepError(f"Helm can't uninstall {old.id}", why=str(error)) from None

    def preview(self, new: Resource | None) -> Values:
        """What would come out; what is in the chart isn't known before it is installed."""
        if new is None:
            return {}
        return {**_checkpoint(to_object(new.inputs), new.inputs), **dict.fromkeys(_COMPUTED, UNKNOWN)}

    def _outputs(self, release: dict[str, Any], new: Resource) -> Values:
        found = self._find(release["name"], release["namespace"])
        return _checkpoint(_with_found(release, found) if found is not None else release, new.inputs)

    def _explain(self, identifier: str, new: Resource, error: HelmError) -> None:
        """Raise what a failed command left behind: a release that isn't ready is there all the same."""
        release = to_object(new.inputs)
        explained = StepError(f"Helm can't bring up the release {identifier}", why=str(error))
        found = self._find(release["name"], release["namespace"])
        if found is None or "cannot re-use a name" in str(error):
            raise explained from None
        raise PartialError(str(explained), identifier, self._outputs(release, new)) from None

    def _find(self, name: str, namespace: str) -> dict[str, Any] | None:
        try:
            return self._helm.find(name, namespace)
        except HelmError as error:
            raise StepError(f"Helm can't read the release {namespace}/{name}", why=str(error)) from None


def _asked(old: Resource) -> dict[str, Any]:
    """The inputs that the state keeps beside the outputs."""
    found = to_object(old.outputs).get(_INPUTS)
    return dict(found) if isinstance(found, dict) else {}


def _checkpoint(outputs: dict[str, Any], inputs: Values) -> Values:
    result: Values = copy.deepcopy(outputs)
    keep_secrets(result, inputs)
    result[_INPUTS] = Secret(inputs)
    return result


def _with_found(release: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    metadata = found["metadata"]
    status = {
        "appVersion": metadata.get("appVersion", ""),
        "chart": metadata["chart"],
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "revision": metadata["revision"],
        "status": metadata["status"],
        "version": metadata["version"],
    }
    names = {"resourceNames": _resource_names(found["manifest"]), "status": {key: v for key, v in status.items() if v}}
    return {
        **release,
        "values": _merged(release.get("values") or {}, found["values"]),
        "version": metadata["version"],
        **names,
    }


def _merged(values: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    result = dict(values)
    for key, value in found.items():
        mine = result.get(key)
        result[key] = _merged(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return result


def _resource_names(manifest: str) -> dict[str, list[str]]:
    """The names of a manifest's objects, by ``Kind.group/group/version``."""
    names: dict[str, set[str]] = {}
    for obj in yaml.safe_load_all(manifest):
        if not isinstance(obj, dict) or not obj.get("kind"):
            continue
        group = obj["apiVersion"].rpartition("/")[0]
        key = f"{obj['kind']}.{group}/{obj['apiVersion']}" if group else f"{obj['kind']}/{obj['apiVersion']}"
        place = obj["metadata"].get("namespace")
        names.setdefault(key, set()).add(f"{place}/{obj['metadata']['name']}" if place else obj["metadata"]["name"])
    return {key: sorted(found) for key, found in sorted(names.items())}


def _imported(found: dict[str, Any]) -> Values:
    metadata = found["metadata"]
    given = {key: metadata[key] for key in ("name", "namespace", "chart", "version")}
    return {**given, "values": found["values"], "timeout": _TIMEOUT}
