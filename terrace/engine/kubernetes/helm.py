"""Runs the ``helm`` command: one release of one cluster. Nothing secret is among its arguments."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from terrace.engine.errors import StepError
from terrace.engine.kubernetes.settings import Settings

_INSTALL: Final = "https://helm.sh/docs/intro/install/"
# What is a flag of both `helm install` and `helm upgrade`, by the name of the resource's input.
_FLAGS: Final = {
    "atomic": "--atomic",
    "devel": "--devel",
    "dependencyUpdate": "--dependency-update",
    "disableOpenapiValidation": "--disable-openapi-validation",
    "disableWebhooks": "--no-hooks",
    "renderSubchartNotes": "--render-subchart-notes",
    "skipCrds": "--skip-crds",
    "verify": "--verify",
    "waitForJobs": "--wait-for-jobs",
}
_INSTALLING: Final = {"createNamespace": "--create-namespace", "replace": "--replace"}
_UPGRADING: Final = {
    "cleanupOnFail": "--cleanup-on-fail",
    "forceUpdate": "--force",
    "resetValues": "--reset-values",
    "reuseValues": "--reuse-values",
}
_TEXTS: Final = {"description": "--description", "keyring": "--keyring"}
# Inputs that would put a secret among the arguments, or that the command has no flag for.
REFUSED: Final = ("postrender", "recreatePods", "valueYamlFiles", "lint")
_LOGIN: Final = "log in by `helm repo add --password-stdin` or `helm registry login --password-stdin`, and leave it out"


class HelmError(Exception):
    """The command failed."""


def is_installed() -> bool:
    """Whether there is a ``helm`` command."""
    return shutil.which("helm") is not None


def missing() -> StepError:
    """The error where there is none."""
    return StepError("kubernetes:helm.sh/v3:Release needs the command `helm`", fix=f"install Helm 3 ({_INSTALL})")


class Helm:
    """Runs the command for one cluster.

    Args:
        settings: Which cluster, and as whom.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def chart_version(self, release: dict[str, Any]) -> str:
        """The version of the chart that a release would have now."""
        shown = self._run("show", "chart", *_chart(release))
        return str((yaml.safe_load(shown) or {}).get("version") or "")

    def install(self, release: dict[str, Any]) -> None:
        """Install a release that isn't there yet."""
        flags = [*_common(release), *_switches(release, _INSTALLING)]
        self._run("install", release["name"], *_chart(release), *flags, values=release.get("values") or {})

    def upgrade(self, release: dict[str, Any]) -> None:
        """Change a release."""
        flags = [*_common(release), *_switches(release, _UPGRADING), f"--history-max={release.get('maxHistory', 0)}"]
        self._run("upgrade", release["name"], *_chart(release), *flags, values=release.get("values") or {})

    def uninstall(self, release: dict[str, Any]) -> None:
        """Remove a release; one that is gone already is no error."""
        wait = [] if release.get("skipAwait") and not release.get("atomic") else ["--wait", *_timeout(release)]
        self._run("uninstall", release["name"], *_place(release), "--ignore-not-found", "--cascade=foreground", *wait)

    def find(self, name: str, namespace: str) -> dict[str, Any] | None:
        """What is known of a release: ``metadata``, ``values``, and ``manifest``; None if it isn't there."""
        place = (name, f"--namespace={namespace}")
        try:
            metadata = json.loads(self._run("get", "metadata", *place, "--output=json"))
        except HelmError as error:
            if "not found" in str(error):
                return None
            raise
        values = json.loads(self._run("get", "values", *place, "--output=json") or "{}") or {}
        return {"metadata": metadata, "values": values, "manifest": self._run("get", "manifest", *place)}

    def _run(self, *arguments: str, values: dict[str, Any] | None = None) -> str:
        helm = shutil.which("helm")
        if helm is None:
            raise missing()
        with self._environment() as environment:
            context = [f"--kube-context={self._settings.context}"] if self._settings.context else []
            given = ["--values=-"] if values is not None else []
            done = subprocess.run(
                [helm, *arguments, *context, *given],
                input=json.dumps(values) if values is not None else None,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise HelmError(done.stderr.strip().removeprefix("Error: "))
        return done.stdout

    @contextmanager
    def _environment(self) -> Iterator[dict[str, str]]:
        """The command's environment; a kubeconfig that is given as text stands in a file of its own meanwhile."""
        if self._settings.cluster:
            what = "the setting `cluster` doesn't reach the command `helm`"
            raise StepError(what, fix="use a context of the kubeconfig instead")
        kubeconfig = self._settings.kubeconfig
        if not kubeconfig:
            yield dict(os.environ)
        elif "\n" not in kubeconfig and len(kubeconfig) < 4096 and Path(kubeconfig).expanduser().exists():
            yield {**os.environ, "KUBECONFIG": str(Path(kubeconfig).expanduser())}
        else:
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".kubeconfig") as file:  # only its owner's
                file.write(kubeconfig)
                file.flush()
                yield {**os.environ, "KUBECONFIG": file.name}


def refusal(release: dict[str, Any]) -> str:
    """Why a release can't be handled by the command; empty if it can."""
    for key in REFUSED:
        if release.get(key):
            return f"{key} isn't supported by the embedded engine; use --engine pulumi"
    if any((release.get("repositoryOpts") or {}).get(key) for key in ("username", "password")):
        return f"repositoryOpts: a password can't be handed to the command; {_LOGIN}"
    return ""


def _chart(release: dict[str, Any]) -> list[str]:
    options = release.get("repositoryOpts") or {}
    files = {"caFile": "--ca-file", "certFile": "--cert-file", "keyFile": "--key-file", "repo": "--repo"}
    flags = [f"{flag}={options[key]}" for key, flag in files.items() if options.get(key)]
    version = [f"--version={release['version']}"] if release.get("version") else []
    return [release["chart"], *version, *flags]


def _common(release: dict[str, Any]) -> list[str]:
    wait = [] if release.get("skipAwait") else ["--wait"]
    texts = [f"{flag}={release[key]}" for key, flag in _TEXTS.items() if release.get(key)]
    return [*_place(release), *wait, *_timeout(release), *_switches(release, _FLAGS), *texts]


def _place(release: dict[str, Any]) -> list[str]:
    return [f"--namespace={release['namespace']}"]


def _timeout(release: dict[str, Any]) -> Sequence[str]:
    return [f"--timeout={int(release['timeout'])}s"] if release.get("timeout") else []


def _switches(release: dict[str, Any], flags: dict[str, str]) -> list[str]:
    return [flag for key, flag in flags.items() if release.get(key)]
