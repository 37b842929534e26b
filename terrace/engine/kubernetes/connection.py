"""Opens the way to a cluster, from a kubeconfig or from within the cluster itself."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, load_incluster_config
from kubernetes.config.kube_config import ConfigNode, KubeConfigLoader, KubeConfigMerger
from urllib3 import Retry

from terrace.engine.kubernetes.errors import ClusterError
from terrace.engine.kubernetes.settings import Settings

# More than the engine does at once, so that no thread waits for a connection.
_CONNECTIONS = 64
_PATH = re.compile(r"[\w~./-]{1,200}")
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Connection:
    """An open way to a cluster.

    Attributes:
        api: Kubernetes' own client.
        server: Its address.
        namespace: Where objects go that name no namespace.
    """

    api: ApiClient
    server: str
    namespace: str


def connect(settings: Settings) -> Connection:
    """Prepare a connection; nothing is sent yet.

    Raises:
        ClusterError: There is no kubeconfig, or it is wrong.
    """
    configuration = Configuration()
    configuration.connection_pool_maxsize = _CONNECTIONS
    configuration.retries = Retry(
        total=3, connect=1, read=1, status=0, backoff_factor=0.2, respect_retry_after_header=False
    )
    try:
        namespace = _load(settings, configuration)
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError) as error:
        raise ClusterError(
            "the kubeconfig can't be used", why=_told(error), fix="check `kubernetes:kubeconfig` and KUBECONFIG"
        ) from None
    return Connection(ApiClient(configuration), configuration.host, settings.namespace or namespace or "default")


def active_cluster(kubeconfig: str, context: str, cluster: str) -> Any:
    """What a kubeconfig that is given says of the cluster that it leads to; None if it doesn't tell."""
    if not kubeconfig:
        return None
    try:
        merged = _merged(kubeconfig)
        wanted = context or _value(merged).get("current-context")
        cluster = cluster or _value(_named(merged, "contexts", wanted))["context"]["cluster"]
        return _value(_named(merged, "clusters", cluster))["cluster"]
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _load(settings: Settings, configuration: Configuration) -> str:
    """Fill the client's configuration; returns the context's namespace."""
    merged = _merged(settings.kubeconfig)
    if merged is None:
        load_incluster_config(client_configuration=configuration)
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip() if _NAMESPACE_FILE.exists() else ""
    context = settings.context or _value(merged).get("current-context")
    if not context:
        raise ValueError("it names no current context; set `kubernetes:context`")
    if settings.cluster:
        _value(_named(merged, "contexts", context))["context"]["cluster"] = settings.cluster
    loader = KubeConfigLoader(config_dict=merged, active_context=context, config_base_path=None)
    loader.load_and_set(configuration)
    if _uses_plugin(merged, loader) and not (configuration.api_key or configuration.cert_file):
        raise ValueError("its credential plugin (`exec`) gave no credentials")
    return str(loader.current_context["context"].get("namespace") or "")


def _merged(kubeconfig: str) -> ConfigNode | None:
    """The kubeconfig; None if there is none and this runs within a cluster."""
    paths = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    if kubeconfig and not _is_path(kubeconfig):
        text = yaml.safe_load(kubeconfig)
        if not isinstance(text, dict):
            shown = repr(kubeconfig) if _PATH.fullmatch(kubeconfig) else "its text"
            raise ValueError(f"{shown} is neither a file nor a kubeconfig")
        return ConfigNode("kubeconfig", text)
    merged: ConfigNode | None = KubeConfigMerger(paths).config
    if merged is None and "KUBERNETES_SERVICE_HOST" not in os.environ:
        raise ValueError(f"there is nothing at {paths}")
    return merged


def _told(error: Exception) -> str:
    """What is wrong, without a line of the kubeconfig, in which a token may stand."""
    if isinstance(error, yaml.YAMLError):
        mark = getattr(error, "problem_mark", None)
        return f"line {mark.line + 1} isn't YAML" if mark is not None else "it isn't YAML"
    return str(error).strip()


def _is_path(text: str) -> bool:
    try:
        return any(Path(part).expanduser().exists() for part in text.split(os.pathsep))
    except OSError:
        return False  # a whole kubeconfig is too long for a path


def _uses_plugin(merged: ConfigNode, loader: KubeConfigLoader) -> bool:
    user = loader.current_context["context"].get("user")
    users = [_value(item) for item in _value(merged).get("users") or []]
    return any("exec" in (item.get("user") or {}) for item in users if item["name"] == user)


def _named(merged: Any, section: str, wanted: str) -> Any:
    for item in _value(merged).get(section) or []:
        if _value(item)["name"] == wanted:
            return item
    raise ValueError(f"it has no {wanted} among its {section}")


def _value(node: Any) -> Any:
    """What the client wraps to remember from which file it came."""
    return node.value if isinstance(node, ConfigNode) else node
