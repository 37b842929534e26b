"""`terrace render`: a whole platform into a folder, by its stack file alone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from terrace.cli.options import COMPONENTS, target_patterns
from terrace.engine.options import Urns
from terrace.engine.outline import STAND_IN, outline
from terrace.engine.project import Project
from terrace.engine.secrets import Crypter, new_salt
from tests.unit.played import run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of this project with an environment for a cluster, nobody's home, and no passphrase."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "Pulumi.yaml", root / "Pulumi.yaml")
    shutil.copytree(ROOT / "stacks", root / "stacks", ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    text = (root / "stacks/Pulumi.local.yaml").read_text(encoding="utf-8")
    salt = new_salt("nobody knows it")
    index = Crypter(salt, lambda: "nobody knows it", "").encrypt("https://ann:hush@index.example.org/simple")
    for old, new in (
        ("terrace:tier: 3", "terrace:tier: 1"),
        ("terrace:target: host", "terrace:target: kubernetes"),
        ("terrace:platform:\n", f"terrace:platform:\n    network: {{package_index: {{secure: '{index}'}}}}\n"),
    ):
        assert old in text
        text = text.replace(old, new)
    (root / "stacks/Pulumi.cluster.yaml").write_text(f"encryptionsalt: {salt}\n{text}", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(root / "home"))
        for name in [name for name in os.environ if name.startswith("PULUMI_") or name == "KUBECONFIG"]:
            patch.delenv(name)
        yield root


@pytest.fixture(scope="module")
def folder(project: Path) -> Path:
    """The environment's rendering."""
    folder = project / "deploy"
    shown = run("render", "cluster", "-C", str(project), "-o", str(folder))
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0] == "+ 00-namespace-platform-cluster.yaml"
    assert lines[-1] == "make them in the cluster before it has the files: terrace up cluster --target secrets"
    return folder


@pytest.fixture(scope="module")
def checked(project: Path, folder: Path) -> dict[str, Any]:
    """What a second rendering into the same folder would do."""
    shown = run("render", "cluster", "-C", str(project), "-o", str(folder), "--check", "--json")
    assert shown.exit_code == 0, shown.output
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def objects(folder: Path) -> list[dict[str, Any]]:
    """Return every object, in the order in which `kubectl apply -f` takes the files."""
    return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.yaml"))]


def test_it_needs_nothing_but_the_stack_file(project: Path, folder: Path) -> None:
    assert not (project / "home").exists(), "it made a passphrase, a state, or asked for a kubeconfig"
    assert len(objects(folder)) > 50


def test_a_second_rendering_is_the_same(folder: Path, checked: dict[str, Any]) -> None:
    assert [checked[name] for name in ("added", "changed", "removed", "diff")] == [[], [], [], ""]
    assert len(checked["unchanged"]) == len(list(folder.iterdir()))


def test_no_file_holds_a_secret(folder: Path) -> None:
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    assert not [name for name, text in texts.items() if STAND_IN in text or "closed-" in text]
    assert {each["kind"] for each in objects(folder)} & {"Secret"} == set()


def test_all_that_objects_refer_to_is_there_or_named(folder: Path, checked: dict[str, Any]) -> None:
    left_out = {(each["kind"], each["name"]): set(each["keys"]) for each in checked["left_out"]}
    there = {(each["kind"], each["metadata"]["name"]): set(each.get("data", ())) for each in objects(folder)}
    assert not left_out.keys() & there.keys()
    referred = {reference for each in objects(folder) for reference in _references(each)}
    assert len(referred) > 50
    for kind, name, key in referred:
        assert key in (there | left_out)[kind, name] or not key, (kind, name, key)
    assert left_out.keys() <= {(kind, name) for kind, name, _ in referred}


def _references(value: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the kind, name, and key of every ConfigMap and Secret that a pod refers to."""
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    if not isinstance(value, dict):
        return
    for field, kind in {"configMap": "ConfigMap", "secret": "Secret"}.items():
        if isinstance(source := value.get(field), dict):
            yield from ((kind, source["name"], item["key"]) for item in source.get("items", [{"key": ""}]))
    if isinstance(reference := value.get("secretKeyRef"), dict):
        yield "Secret", reference["name"], reference["key"]
    for item in value.values():
        yield from _references(item)


def test_the_command_that_is_told_makes_all_that_is_left_out(project: Path, folder: Path) -> None:
    resources = outline(Project.load(project), "cluster").resources
    wanted = Urns([*target_patterns("secrets"), COMPONENTS])
    meant = [each for each in resources if each.urn in wanted]
    made = {each.inputs["kind"] + " " + each.inputs["metadata"]["name"] for each in meant if "kind" in each.inputs}
    named = (line.partition(":")[0] for line in (folder / "secrets.txt").read_text().splitlines() if line[0] != "#")
    assert made == {"Namespace platform-cluster", *(line.replace("platform-cluster/", "") for line in named)}
    targets = {each.urn for each in meant}
    beyond = ("pulumi:pulumi:Stack", "pulumi:providers:")
    assert not [
        (each.name, urn)
        for each in meant
        for urn in each.needs()
        if urn not in targets and not urn.split("::")[2].split("$")[-1].startswith(beyond)
    ]


def test_a_change_is_shown_and_then_made(project: Path, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    file = next(copy.glob("*-deployment-mlflow.yaml"))
    file.write_text(file.read_text().replace("replicas: 1", "replicas: 9"))
    next(copy.glob("00-*")).unlink()
    (copy / "09-job-gone.yaml").write_text(f"{file.read_text().splitlines()[0]}\nkind: Job\n")
    (copy / "kustomization.yaml").write_text("kind: Kustomization\n")
    arguments = ("render", "cluster", "-C", str(project), "-o", str(copy))

    checked = run(*arguments, "--check")
    assert checked.exit_code == 1
    lines = checked.stdout.splitlines()
    assert {"-  replicas: 9", "+  replicas: 1", "- 09-job-gone.yaml", "+ 00-namespace-platform-cluster.yaml"} <= set(
        lines
    )
    assert lines[-1].endswith(f"not up to date; bring it up to date: terrace render cluster -o {copy}")

    done = json.loads(run(*arguments, "--json").stdout)
    assert done["added"] == ["00-namespace-platform-cluster.yaml"]
    assert (done["changed"], done["removed"]) == ([file.name], ["09-job-gone.yaml"])
    (copy / "kustomization.yaml").unlink()
    assert {each.name: each.read_text() for each in copy.iterdir()} == {
        each.name: each.read_text() for each in folder.iterdir()
    }


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ("local", "only what is in a cluster can be rendered\n  fix: bring it up: terrace up local"),
        ("nowhere", "there is no environment 'nowhere'"),
    ],
)
def test_an_environment_that_cant_be_rendered_is_told(project: Path, tmp_path: Path, env: str, said: str) -> None:
    shown = run("render", env, "-C", str(project), "-o", str(tmp_path / "deploy"))
    assert shown.exit_code == 2
    assert said in shown.stderr
    assert not (tmp_path / "deploy").exists()


def test_a_mandatory_rule_stops_it(project: Path, tmp_path: Path) -> None:
    text = (project / "stacks/Pulumi.cluster.yaml").read_text(encoding="utf-8")
    text = text.replace("    team:\n", "    team:\n      people: {ann: {email: ann@example.org}}\n")
    waiver = "{rule: K5, resource: serving/x, reason: It moves in spring., owner: ann, expires: 2999-12-31}"
    file = project / "stacks/Pulumi.waived.yaml"
    file.write_text(f"{text}    waivers: [{waiver}]\n", encoding="utf-8")
    shown = run("render", "waived", "-C", str(project), "-o", str(tmp_path / "deploy"))
    file.unlink()
    assert shown.exit_code == 1, shown.output
    assert "M18" in shown.stderr
    assert not (tmp_path / "deploy").exists()
