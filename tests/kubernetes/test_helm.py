"""Helm releases, by the real `helm` and a chart in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi import Output, ResourceOptions
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.helm.v3 import Release, RepositoryOptsArgs

from tests.kubernetes.binaries import HELM, Say, built
from tests.kubernetes.world import World, messages, steps

_TEMPLATE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}, {{ with .Values.fails }}terrace.test/fails: {{ . }}{{ end }}}}
    spec: {containers: [{name: app, image: "app:1", env: [{name: WORD, value: {{ .Values.word | quote }}}]}]}
"""


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.2.3\nappVersion: '7'\n", encoding="utf-8")
    (folder / "values.yaml").write_text("replicas: 1\nword: ''\nfails: ''\n", encoding="utf-8")
    (folder / "templates/web.yaml").write_text(_TEMPLATE, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def helm(say: Say) -> Path:
    return built([HELM], say)["helm"]


@pytest.fixture
def _helm(helm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{helm.parent}{os.pathsep}{os.environ['PATH']}")


def _program(world: World, chart: Path, replicas: int = 1, word: str = "") -> Callable[[], None]:
    """With a secret word, the kubeconfig is given as a secret text too."""

    def program() -> None:
        opts = ResourceOptions()
        if word:
            text = world.plane.kubeconfig.read_text(encoding="utf-8")
            opts = ResourceOptions(provider=Provider("given", kubeconfig=Output.secret(text)))
        space = Namespace("space", metadata={"name": world.namespace}, opts=opts)
        Release(
            "web",
            chart=str(chart),
            namespace=world.namespace,
            values={"replicas": replicas, "word": Output.secret(word)},
            timeout=30,
            opts=ResourceOptions.merge(opts, ResourceOptions(depends_on=[space])),
        )

    return program


@pytest.mark.usefixtures("_helm")
def test_a_release(world: World, chart: Path) -> None:
    word = "s3cr3t-value-of-a-chart"

    def program(replicas: int) -> Callable[[], None]:
        return _program(world, chart, replicas, word)

    assert steps(world.preview(program(1))) == {"space": "create", "web": "create"}
    assert steps(world.up(program(1)))["web"] == "create"
    release = world.resources()["web"]
    name = release.id.partition("/")[2]
    assert name.startswith("web-")
    assert release.outputs["status"] == {
        "appVersion": "7",
        "chart": "web",
        "name": name,
        "namespace": world.namespace,
        "revision": 1,
        "status": "deployed",
        "version": "1.2.3",
    }
    assert release.outputs["resourceNames"] == {"Deployment.apps/apps/v1": [f"{world.namespace}/{name}"]}
    assert release.inputs["version"] == "1.2.3"
    assert word not in world.checkpoint()
    assert world.object("Deployment", name, "apis/apps/v1")["status"]["availableReplicas"] == 1

    assert steps(world.up(program(1))) == {}
    assert steps(world.refresh()) == {}
    assert steps(world.up(program(2))) == {"web": "update"}
    assert world.resources()["web"].outputs["status"]["revision"] == 2
    assert world.object("Deployment", name, "apis/apps/v1")["status"]["availableReplicas"] == 2
    assert steps(world.destroy()) == {"web": "delete", "space": "delete"}
    assert world.object("Deployment", name, "apis/apps/v1") is None


@pytest.mark.usefixtures("_helm")
def test_a_release_that_does_not_get_ready(world: World, chart: Path) -> None:
    def program(timeout: int, **values: Any) -> Callable[[], None]:
        def make() -> None:
            space = Namespace("space", metadata={"name": world.namespace})
            inside = ResourceOptions(depends_on=[space])
            Release("web", chart=str(chart), namespace=world.namespace, values=values, timeout=timeout, opts=inside)

        return make

    told = messages(world.up(program(3, fails="crash")))
    assert f"Helm can't bring up the release {world.namespace}/web-" in told
    assert world.resources()["web"].outputs["status"]["status"] == "failed"
    assert steps(world.up(program(60, fails=""))) == {"web": "update"}
    assert world.resources()["web"].outputs["status"]["status"] == "deployed"


@pytest.mark.usefixtures("_helm")
def test_what_helm_cannot_do_is_told(world: World, chart: Path) -> None:
    assert "chart:" in messages(world.up(_program(world, chart / "nowhere")))
    chart_of = str(chart)

    def program() -> None:
        Release("web", chart=chart_of, repository_opts=RepositoryOptsArgs(password="word"))

    assert "a password can't be handed to the command" in messages(world.up(program))
    assert world.resources() == {}


def test_without_helm_nothing_is_touched(world: World, chart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert steps(world.preview(_program(world, chart))) == {"space": "create", "web": "create"}
    told = messages(world.up(_program(world, chart)))
    assert "kubernetes:helm.sh/v3:Release needs the command `helm`" in told
    assert world.resources() == {}
