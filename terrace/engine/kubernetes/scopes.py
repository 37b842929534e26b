"""Whether the objects of a kind are in namespaces, also where no cluster can be asked."""

from __future__ import annotations

from typing import Final

from terrace.engine.kubernetes.cluster import Cluster
from terrace.engine.kubernetes.errors import MissingKindError
from terrace.engine.kubernetes.kinds import Kind
from terrace.engine.kubernetes.objects import Object, field, is_crd, metadata, namespace

# Kubernetes' own kinds that are in no namespace (`kubectl api-resources --namespaced=false`, Kubernetes 1.36).
_CLUSTER_WIDE: Final = {
    "APIService",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterTrustBundle",
    "CSIDriver",
    "CSINode",
    "CustomResourceDefinition",
    "DeviceClass",
    "FlowSchema",
    "IngressClass",
    "IPAddress",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ResourceSlice",
    "RuntimeClass",
    "ServiceCIDR",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
    "VolumeAttributesClass",
}


class Scopes:
    """The scopes of kinds, those among them that the program defines itself."""

    def __init__(self) -> None:
        self._defined: dict[tuple[str, str], bool] = {}

    def note(self, definition: Object) -> None:
        """Note the scope of the kind that a CustomResourceDefinition defines."""
        if is_crd(definition):
            key = (str(field(definition, "spec", "group")), str(field(definition, "spec", "names", "kind")))
            self._defined[key] = field(definition, "spec", "scope") != "Cluster"

    def is_namespaced(self, kind: Kind, cluster: Cluster | None) -> bool:
        """Whether objects of the kind are in namespaces; of an unknown one it is taken that they are."""
        if (kind.group, kind.name) in self._defined:
            return self._defined[kind.group, kind.name]
        if cluster is not None:
            try:
                return cluster.endpoint(kind).namespaced
            except MissingKindError:
                pass
        builtin = "." not in kind.group or kind.group.endswith(".k8s.io")
        return not (builtin and kind.name in _CLUSTER_WIDE)


def set_namespace(obj: Object, place: str, *, namespaced: bool) -> None:
    """Put an object where it goes if it doesn't say so itself; in none if its kind is in none."""
    if not isinstance(obj.get("metadata"), dict):
        return
    if not namespaced:
        metadata(obj).pop("namespace", None)
    elif not namespace(obj):
        obj["metadata"]["namespace"] = place
