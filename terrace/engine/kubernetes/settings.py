"""How a provider resource, or the environment, configures the provider."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from terrace.engine.errors import UnsupportedError
from terrace.engine.provider import Values
from terrace.engine.values import Unknown, contains, reveal

# The settings that this provider has no part for; each is refused where it is switched on.
_REFUSED = {
    "renderYamlToDirectory": "rendering objects to a folder",
    "alwaysRender": "rendering objects to a folder",
}


@dataclass(frozen=True)
class Settings:
    """One provider's configuration.

    Attributes:
        kubeconfig: The path or the text of a kubeconfig; empty for the environment's.
        context: The context in it; empty for its current one.
        cluster: The cluster in it, instead of the context's.
        namespace: Where objects go that name no namespace; empty for the context's.
        known: Whether the configuration is known already; in a preview the cluster may be yet to come.
        delete_unreachable: Forget objects of a cluster that can't be reached.
        skip_unreachable: Let a refresh pass over a cluster that can't be reached.
        patch_force: Take fields over from other managers.
        upsert: Take an object over that is there already when it is to be created.
        mutable_config_maps: Change a ConfigMap's data in place.
        mutable_secrets: Change a Secret's data in place.
    """

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    namespace: str = ""
    known: bool = True
    delete_unreachable: bool = False
    skip_unreachable: bool = False
    patch_force: bool = False
    upsert: bool = False
    mutable_config_maps: bool = False
    mutable_secrets: bool = False

    @classmethod
    def of(cls, configuration: Values, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read a provider resource's inputs.

        Raises:
            UnsupportedError: Something in them is Pulumi's own provider's alone; it is named.
        """
        if contains(configuration, Unknown):
            return cls(known=False)
        given = reveal(configuration)
        for key, what in _REFUSED.items():
            if given.get(key) and not _is_off(given[key]):
                raise UnsupportedError(f"{what} isn't supported by the embedded engine", fix="use --engine pulumi")

        def switch(key: str, variable: str, *, default: bool = False) -> bool:
            found = given.get(key, environment.get(f"PULUMI_K8S_{variable}"))
            return default if found is None else found in (True, "true")

        if not switch("enableServerSideApply", "ENABLE_SERVER_SIDE_APPLY", default=True):
            raise UnsupportedError(
                "client-side apply isn't supported by the embedded engine", fix="use --engine pulumi"
            )
        return cls(
            kubeconfig=text(given.get("kubeconfig")),
            context=text(given.get("context")),
            cluster=text(given.get("cluster")),
            namespace=text(given.get("namespace")),
            delete_unreachable=switch("deleteUnreachable", "DELETE_UNREACHABLE"),
            skip_unreachable=switch("skipUpdateUnreachable", "SKIP_UPDATE_UNREACHABLE"),
            patch_force=switch("enablePatchForce", "ENABLE_PATCH_FORCE"),
            upsert=switch("upsertExistingObjects", "UPSERT_EXISTING_OBJECTS"),
            mutable_config_maps=switch("enableConfigMapMutable", "ENABLE_CONFIGMAP_MUTABLE"),
            mutable_secrets=switch("enableSecretMutable", "ENABLE_SECRET_MUTABLE"),
        )


def text(value: Any) -> str:
    """A setting as text: what isn't given is empty, and a kubeconfig may be an object."""
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict) else ""


def _is_off(value: Any) -> bool:
    return value in (False, "false", "")
