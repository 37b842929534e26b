"""`terrace images` without any registry: what it lists, writes, builds, and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from components.programs import lock_text
from terrace.cli import application
from terrace.images import lock
from terrace.images.table import ImageTable

TABLE = ImageTable.load()
DIGEST = "sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: terrace\nruntime: python\n")
    (tmp_path / "stacks").mkdir()
    for name, target in (("local", "host"), ("prod", "kubernetes")):
        config = f"config:\n  terrace:tier: 1\n  terrace:target: {target}\n"
        (tmp_path / "stacks" / f"Pulumi.{name}.yaml").write_text(config)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lock, "LOCK", tmp_path / "images.lock")
    return tmp_path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(application(), ["images", *arguments])


def with_programs(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, *names: str) -> None:
    programs = folder / "programs"
    programs.mkdir()
    for name in names:
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))


def test_without_an_environment_images_are_where_upstream_has_them() -> None:
    shown = run("list").stdout.splitlines()

    assert shown[0].split() == ["python", TABLE.upstream["python"].reference.tagged]
    assert [line.split()[0] for line in shown] == [*TABLE.upstream, *TABLE.own]
    assert shown[-1].split()[1].startswith(f"localhost/terrace/{TABLE.own[-1]}:")
    assert shown[-1].endswith("(built here)")
    assert run("list", "local").stdout == run("list").stdout


def test_an_unknown_environment_is_refused() -> None:
    refused = run("list", "moon", "--json")

    assert refused.exit_code == 2
    assert "there is no environment 'moon'" in json.loads(refused.stderr)[0]["error"]["what"]


def test_build_contexts_are_written_the_same_each_time(project: Path) -> None:
    done = run("build", "-o", "out", "--json")

    assert {image["name"] for image in json.loads(done.stdout)} == set(TABLE.own)
    written = {file: file.read_bytes() for file in sorted((project / "out").rglob("*")) if file.is_file()}
    assert len(written) == 2 * len(TABLE.own)
    assert (project / "out" / "feast" / "requirements.txt").read_text() == lock_text("feast")
    run("build", "-o", "out")
    assert {file: file.read_bytes() for file in written} == written


def test_a_containerfile_is_pinned_checked_and_not_roots(project: Path) -> None:
    python = TABLE.upstream["python"].reference
    (project / "images.lock").write_text(f"{python.tagged}@{DIGEST}\n")
    run("build", "-o", "out")

    for name in TABLE.own:
        lines = (project / "out" / name / "Containerfile").read_text().splitlines()
        assert [line for line in lines if line.startswith("FROM ")] == [f"FROM {python.repository}@{DIGEST}"]
        assert lines[-1] == "USER 10001:10001"
        text = " ".join(lines)
        assert [
            word for word in ("--require-hashes", "--no-cache-dir", "--only-binary=:all:") if word not in text
        ] == []


def test_what_cannot_be_written_is_said(project: Path) -> None:
    (project / "out").write_text("a file")

    refused = run("build", "-o", "out")
    assert (refused.exit_code, "it can't be written" in refused.stderr) == (2, True), refused.output


def test_where_nothing_builds_it_says_what_to_install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_programs(project, monkeypatch, "exit 0")

    refused = run("build")
    assert refused.exit_code == 2
    assert "nothing on PATH builds images: docker, podman, buildah" in refused.stderr
    assert "apt install podman" in refused.stderr


@pytest.mark.parametrize(("there", "used"), [(("buildah", "podman"), "podman"), (("buildah",), "buildah")])
def test_what_is_on_path_builds(
    project: Path, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], used: str
) -> None:
    with_programs(project, monkeypatch, f"echo ${{0##*/}} $* >> {project}/calls", *there)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/etc/pip-with-pa55word.conf")

    done = run("build")

    calls = (project / "calls").read_text().splitlines()
    assert done.exit_code == 0, done.output
    assert [call.split()[0] for call in calls] == [used] * len(TABLE.own)
    image = done.stdout.split()[0]
    assert image.startswith(f"localhost/terrace/{TABLE.own[0]}:")
    assert calls[0].split()[1:] == [
        "build",
        "--file",
        calls[0].split()[3],
        "--tag",
        image,
        "--secret",
        "id=pip.conf,src=/etc/pip-with-pa55word.conf",
        calls[0].split()[3].removesuffix("/Containerfile"),
    ]


def test_a_build_that_fails_ends_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_programs(project, monkeypatch, f"echo call >> {project}/calls; exit 7", "docker")

    failed = run("build")
    assert (failed.exit_code, "docker build ended with 7" in failed.stderr) == (1, True), failed.output
    assert (project / "calls").read_text() == "call\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--push"], "--push needs an environment"),
        (["prod", "--push"], "name a registry in stacks/Pulumi.prod.yaml, network.image_registry"),
        (["prod", "--push", "-o", "out"], "--push and -o exclude each other"),
    ],
)
def test_what_cannot_be_pushed_is_said(options: list[str], says: str) -> None:
    refused = run("build", *options)

    assert (refused.exit_code, says in refused.stderr) == (2, True), refused.output
