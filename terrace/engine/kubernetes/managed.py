"""What the engine asks of the provider about objects, answered for one cluster."""

from __future__ import annotations

from dataclasses import dataclass

from terrace.engine.diff import Diff
from terrace.engine.errors import PartialError, StepError
from terrace.engine.kubernetes import checkpoint, immutable, names
from terrace.engine.kubernetes.access import Access
from terrace.engine.kubernetes.awaiting import NotReadyError, complaint, seconds, until_gone, until_ready
from terrace.engine.kubernetes.cluster import Cluster
from terrace.engine.kubernetes.comparing import Comparing
from terrace.engine.kubernetes.errors import ApiError, MissingKindError, explain
from terrace.engine.kubernetes.kinds import Kind, is_list, is_patch, kind_of
from terrace.engine.kubernetes.objects import (
    Object,
    annotation,
    hide_secrets,
    identifier,
    is_crd,
    is_known,
    metadata,
    name,
    namespace,
    normalized,
    pruned,
    to_object,
    to_values,
)
from terrace.engine.kubernetes.reading import imported_inputs, reference
from terrace.engine.kubernetes.rights import Right, missing
from terrace.engine.kubernetes.scopes import Scopes, set_namespace
from terrace.engine.kubernetes.settings import Settings
from terrace.engine.kubernetes.writing import Writer
from terrace.engine.provider import Failure, Found, Values
from terrace.engine.state import Resource, name_of, type_of


class ManagedObjects:
    """Handles objects of one cluster. Called from several threads.

    Args:
        settings: How they are handled.
        access: The cluster.
    """

    def __init__(self, settings: Settings, access: Access) -> None:
        self._settings = settings
        self._access = access
        self._scopes = Scopes()
        self._planned: set[Right] = set()

    def check(self, urn: str, old: Values | None, new: Values) -> tuple[Values, list[Failure]]:
        """Name the object, put it into its namespace, and bring its fields into the server's form."""
        type_ = type_of(urn)
        obj = normalized(to_object(new))
        if is_list(type_):
            raise StepError(
                "lists are for manifests, and can't be made", where=urn, fix="make each of its objects a resource"
            )
        if is_patch(type_, str(obj.get("kind"))) and not name(obj):
            return new, [Failure("metadata.name", "a patch has to name the object that it changes")]
        if metadata(obj).get("generateName") and not name(obj):
            return new, [Failure("metadata.generateName", "server-side apply needs a name; leave it out for one")]
        names.set_name(obj, name_of(urn), to_object(old) if old is not None else None)
        self._scopes.note(obj)
        if not namespace(obj):
            cluster = self._access.find()
            namespaced = self._scopes.is_namespaced(_kind(obj), cluster)
            set_namespace(obj, self._access.namespace, namespaced=namespaced)
        return hide_secrets(to_values(obj), new), []

    def diff(self, old: Resource, new: Values) -> Diff:
        """Compare the object as it was seen last with what is wanted."""
        wanted, state = normalized(to_object(new)), checkpoint.stored(old.outputs)
        cluster, kind = self._access.find(), _kind(wanted)
        comparing = Comparing(wanted, state, namespaced=self._scopes.is_namespaced(kind, cluster))
        patch = is_patch(old.type, kind.name)
        found = comparing.changes(cluster, old.ignore_changes, patch=patch)
        fixed = immutable.identity() if patch else immutable.fields_of(wanted, kind, self._settings)
        diff = comparing.diff(found, fixed)
        if annotation(wanted, "pulumi.com/replaceUnready") == "true" and kind.name == "Job" and cluster is not None:
            return comparing.replace_if_unready(diff, cluster)
        return diff

    def create(self, new: Resource) -> tuple[str, Values]:
        """Create the object and wait until it is ready."""
        obj = to_object(new.inputs)
        patch = is_patch(new.type, str(obj.get("kind")))
        manager = annotation(obj, names.FIELD_MANAGER) or checkpoint.new_manager()
        cluster = self._access.require()
        try:
            writer = self._writer(cluster)
            live = writer.put(obj, manager) if patch or self._settings.upsert else writer.create(obj, manager)
        except (ApiError, MissingKindError) as error:
            raise explain(error, obj) from None
        work = _Work(obj, live, new, manager, obj["apiVersion"])
        live = self._ready(cluster, work, new.custom_timeouts.get("create", 0.0))
        return identifier(live), work.outputs(live)

    def update(self, old: Resource, new: Resource) -> Values:
        """Apply the object and wait until it is ready."""
        obj, state = normalized(to_object(new.inputs)), checkpoint.stored(old.outputs)
        patch = is_patch(new.type, str(obj.get("kind")))
        manager = annotation(obj, names.FIELD_MANAGER) or state.manager or checkpoint.new_manager()
        cluster = self._access.require()
        writer = self._writer(cluster)
        work = _Work(obj, state.live, new, manager, state.api_version)
        try:
            live = writer.update(obj, state.live, manager, new.ignore_changes, patch=patch)
        except (ApiError, MissingKindError) as error:
            raise _unchanged(cluster, work, error) from None
        work = _Work(obj, live, new, manager, state.api_version)
        live = self._ready(cluster, work, new.custom_timeouts.get("update", 0.0))
        if state.manager and state.manager != manager:
            writer.relinquish(live, state.manager)
        return work.outputs(live)

    def read(self, resource: Resource) -> Found:
        """Look at the object as it is now, and whether it is ready."""
        cluster = self._access.require()
        inputs, state = normalized(to_object(resource.inputs)), checkpoint.stored(resource.outputs)
        target = reference(resource, inputs, state.live)
        try:
            live = cluster.find(target)
        except MissingKindError:
            live = None  # its definition is gone, and it with it
        except ApiError as error:
            raise explain(error, target) from None
        if live is None:
            return Found("", None, {})
        new = not inputs.get("kind")
        seen = imported_inputs(live) if new else pruned(live, inputs)
        values = checkpoint.outputs(
            seen,
            live,
            resource.inputs,
            state.manager or checkpoint.new_manager(),
            state.api_version or target["apiVersion"],
        )
        why = "" if new else complaint(cluster, inputs, live)
        found = hide_secrets(to_values(seen), resource.inputs)
        return Found(resource.id or identifier(live), found, values, (why,) if why else ())

    def delete(self, old: Resource) -> None:
        """Delete the object and wait until it is gone; of a patch, only give its fields up."""
        cluster = self._access.require()
        state = checkpoint.stored(old.outputs)
        try:
            if is_patch(old.type, str(state.live.get("kind"))):
                self._writer(cluster).relinquish(state.live, state.manager)
                return
            live = cluster.find(state.live)
            if live is None:
                return
            self._writer(cluster).delete(live, state.inputs)
            until_gone(cluster, state.inputs, live, seconds(state.inputs, old.custom_timeouts.get("delete", 0.0)))
        except MissingKindError:
            return  # its definition is gone, and it with it
        except ApiError as error:
            if not error.is_missing:
                raise explain(error, state.live) from None
        if is_crd(state.live):
            cluster.forget_kinds()

    def preview(self, old: Resource | None, new: Resource | None) -> Values:
        """What would come out, tried on the server where that is possible. Without ``new``, ``old`` is deleted."""
        cluster = self._access.find()
        if new is None:
            self._plan("delete", checkpoint.stored(old.outputs).live if old else {}, "get")
            return {}
        obj = normalized(to_object(new.inputs))
        patch = is_patch(new.type, str(obj.get("kind")))
        self._plan("patch" if old is not None or patch else "create", obj, "get")
        if cluster is None or not is_known(obj) or not cluster.knows(_kind(obj)) or (patch and old is None):
            return dict(new.inputs)
        try:
            return self._tried(cluster, obj, old, new)
        except ApiError as error:
            if error.code == 403 or error.is_missing_namespace or error.reason == "AlreadyExists":
                return dict(new.inputs)  # what comes before may make it possible; if not, the request itself will tell
            raise explain(error, obj) from None

    def refused(self) -> list[str]:
        """What was previewed and isn't allowed, in words."""
        cluster = self._access.find()
        return missing(cluster, self._planned) if cluster is not None else []

    def _tried(self, cluster: Cluster, obj: Object, old: Resource | None, new: Resource) -> Values:
        writer = self._writer(cluster)
        if old is None:
            manager = annotation(obj, names.FIELD_MANAGER) or checkpoint.new_manager()
            upsert = self._settings.upsert
            live = writer.try_put(obj, manager) if upsert else writer.try_create(obj)
            first = obj["apiVersion"]
        else:
            state = checkpoint.stored(old.outputs)
            manager = annotation(obj, names.FIELD_MANAGER) or state.manager or checkpoint.new_manager()
            patch = is_patch(new.type, str(obj.get("kind")))
            tried = writer.try_update(obj, state.live, manager, new.ignore_changes, patch=patch)
            if tried is None:
                return dict(new.inputs)
            live, first = tried, state.api_version
        live.pop("status", None)  # nothing is known of it yet
        return checkpoint.outputs(obj, live, new.inputs, manager, first)

    def _ready(self, cluster: Cluster, work: _Work, given: float) -> Object:
        try:
            live = until_ready(cluster, work.obj, work.live, seconds(work.obj, given))
        except NotReadyError as error:
            raise PartialError(_told(error.error), identifier(error.live), work.outputs(error.live)) from None
        if is_crd(work.obj):
            cluster.forget_kinds()
        return live

    def _plan(self, verb: str, obj: Object, *more: str) -> None:
        if not is_known([obj.get("kind"), obj.get("apiVersion"), namespace(obj)]) or not obj.get("kind"):
            return
        if verb == "patch" and is_crd(obj):
            verb = "update"
        place = namespace(obj) or self._access.namespace
        self._planned.update(Right(each, _kind(obj), str(place)) for each in (verb, *more))

    def _writer(self, cluster: Cluster) -> Writer:
        return Writer(cluster, force=self._settings.patch_force)


@dataclass(frozen=True)
class _Work:
    """An object that is being written: what is wanted, what is there, the resource, and who applies."""

    obj: Object
    live: Object
    new: Resource
    manager: str
    api_version: str

    def outputs(self, live: Object) -> Values:
        return checkpoint.outputs(self.obj, live, self.new.inputs, self.manager, self.api_version)


def _unchanged(cluster: Cluster, work: _Work, error: ApiError | MissingKindError) -> Exception:
    """The error of a change that was refused. As Pulumi's provider does, what is there goes into the state."""
    explained = explain(error, work.obj)
    try:
        live = cluster.find(work.live)
    except (ApiError, MissingKindError):
        live = None
    if live is None:
        return explained
    return PartialError(_told(explained), identifier(live), work.outputs(live))


def _told(error: StepError) -> str:
    return str(StepError(error.what, why=error.why, fix=error.fix))


def _kind(obj: Object) -> Kind:
    return kind_of(str(obj.get("apiVersion") or ""), str(obj.get("kind") or ""))
