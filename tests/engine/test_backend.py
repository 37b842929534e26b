"""The files of a ``file://`` backend, and what happens when they are damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from terrace.engine import StateError, UnsupportedError
from terrace.engine.backend import Backend
from tests.engine.engine_world import World


def _backend(root: Path) -> Backend:
    return Backend(f"file://{root}", "p", "dev", root)


def _write(backend: Backend, document: Any) -> None:
    backend.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    text = document if isinstance(document, str) else json.dumps(document)
    backend.checkpoint.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("url", ["s3://bucket?token=hidden", "https://api.pulumi.com"])
def test_other_backends_are_refused_without_their_parameters(tmp_path: Path, url: str) -> None:
    with pytest.raises(UnsupportedError, match="file:// backends only") as caught:
        Backend(url, "p", "dev", tmp_path)
    assert "hidden" not in str(caught.value)


def test_where_the_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Backend("file://~", "p", "dev", tmp_path).checkpoint == tmp_path / "home/.pulumi/stacks/p/dev.json"
    relative = Backend("file://./state?no_tmp_dir=true", "p", "dev", tmp_path)
    assert relative.checkpoint == tmp_path / "state/.pulumi/stacks/p/dev.json"
    assert relative.locks == tmp_path / "state/.pulumi/locks/organization/p/dev"


def test_the_layout_is_made_once(tmp_path: Path) -> None:
    backend = _backend(tmp_path)
    backend.prepare()
    backend.prepare()
    assert (tmp_path / ".pulumi/meta.yaml").read_text(encoding="utf-8") == "version: 1\n"


def test_another_layout_is_refused(tmp_path: Path) -> None:
    meta = tmp_path / ".pulumi/meta.yaml"
    meta.parent.mkdir()
    meta.write_text("version: 2\n", encoding="utf-8")
    with pytest.raises(UnsupportedError, match=f"{meta}: the backend's layout isn't version 1"):
        _backend(tmp_path).prepare()


def test_the_layout_without_projects_is_refused(tmp_path: Path) -> None:
    old = tmp_path / ".pulumi/stacks/dev.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}", encoding="utf-8")
    with pytest.raises(UnsupportedError, match="the old layout"):
        _backend(tmp_path).prepare()
    assert not (tmp_path / ".pulumi/meta.yaml").exists()


def test_a_stack_that_was_never_made_is_empty(tmp_path: Path) -> None:
    backend = _backend(tmp_path)
    assert not backend.exists()
    assert (backend.read().latest, backend.read().salt) == ({}, "")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_compressed_state_is_refused(tmp_path: Path, suffix: str) -> None:
    backend = _backend(tmp_path)
    _write(backend, "{}")
    backend.checkpoint.rename(backend.checkpoint.with_name(f"dev.json{suffix}"))
    with pytest.raises(UnsupportedError, match=rf"dev\.json\{suffix}: the state is compressed"):
        backend.read()


@pytest.mark.parametrize(
    ("document", "error", "what"),
    [
        ({"version": 5, "checkpoint": {}}, StateError, "newer than this engine\n  why: version 5, features none"),
        ({"version": 4, "features": ["views"], "checkpoint": {}}, StateError, "version 4, features views"),
        ({"version": 2, "checkpoint": {}}, StateError, "the old version 2"),
        (
            {"version": 3, "checkpoint": {"latest": {"secrets_providers": {"type": "cloud"}}}},
            UnsupportedError,
            "kept by cloud, not by a passphrase",
        ),
    ],
)
def test_what_this_engine_cannot_read(tmp_path: Path, document: Any, error: type[Exception], what: str) -> None:
    backend = _backend(tmp_path)
    _write(backend, document)
    with pytest.raises(error, match=what):
        backend.read()


def test_a_newer_version_without_its_features_can_be_read(tmp_path: Path) -> None:
    backend = _backend(tmp_path)
    latest = {"secrets_providers": {"type": "passphrase", "state": {"salt": "v1:x"}}}
    _write(backend, {"version": 4, "checkpoint": {"latest": latest}})
    assert backend.read().salt == "v1:x"


DAMAGES = [
    "",
    "{",
    "[]",
    '{"version": 3, "checkpoint": {"latest": [1]}}',
    '{"version": 3, "checkpoint": {"latest": {"resources": 5}}}',
    '{"version": 3, "checkpoint": {"latest": {"resources": [{"type": "without urn"}]}}}',
    '{"version": 3, "checkpoint": {"latest": {"pending_operations": [{"type": "creating"}]}}}',
    '{"version": "3", "checkpoint": {}}',
    '{"version": 3, "checkpoint": []}',
    "\0" * 100,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_named_and_nothing_is_lost(world: World, damage: str) -> None:
    assert world.run("up", 1).ok
    good = world.checkpoint.read_bytes()
    world.checkpoint.write_text(damage, encoding="utf-8")
    with pytest.raises(StateError, match="the state is damaged") as caught:
        world.run("up", 1)
    message = str(caught.value)
    assert message.startswith(f"{world.checkpoint}: ")
    assert world.checkpoint.read_text(encoding="utf-8") == damage  # left for whoever repairs it
    assert len(world.calls()) == 3
    # The message names a backup, which is good.
    backup = next(word for word in message.replace(";", " ").split() if "backups" in word)
    assert Path(backup).read_bytes() == good
    shutil.copyfile(backup, world.checkpoint)
    assert world.run("up", 1).summary == {"same": 4}


def test_damaged_backups_are_passed_over(tmp_path: Path) -> None:
    backend = _backend(tmp_path)
    _write(backend, "{")
    with pytest.raises(StateError, match="there is no good backup"):
        backend.read()
    backend.checkpoint.with_name("dev.json.bak").write_text('{"version": 3, "checkpoint": {}}', encoding="utf-8")
    later = tmp_path / ".pulumi/backups/p/dev/dev.1.json"
    later.parent.mkdir(parents=True)
    later.write_text("{", encoding="utf-8")
    with pytest.raises(StateError, match=r"last good backup is \S+/dev\.json\.bak"):
        backend.read()


@pytest.mark.parametrize("secret", [{"ciphertext": "v1:AAAA:AAAA"}, {}])
def test_a_damaged_secret_in_the_state_is_named(world: World, secret: dict[str, str]) -> None:
    assert world.run("up", 1).ok
    document = json.loads(world.checkpoint.read_bytes())
    (raw,) = [item for item in document["checkpoint"]["latest"]["resources"] if item["urn"] == world.urn("a")]
    signature = raw["inputs"]["__provider"].keys() - {"ciphertext"}
    raw["inputs"]["__provider"] = {**{key: raw["inputs"]["__provider"][key] for key in signature}, **secret}
    world.checkpoint.write_text(json.dumps(document), encoding="utf-8")
    before = world.checkpoint.read_bytes()
    with pytest.raises(StateError, match=f"{world.checkpoint}: a secret"):
        world.run("destroy", 1)
    assert world.checkpoint.read_bytes() == before
    assert world.things() == ["a", "b", "c"]


def test_only_the_owner_can_read_the_state(world: World) -> None:
    assert world.run("up", 1).ok
    assert world.run("up", 2).ok
    files = [path for path in (world.root / ".pulumi").rglob("*") if path.is_file() and path.name != "meta.yaml"]
    assert [path.name for path in files if path.stat().st_mode & 0o077] == []


def test_each_operation_is_in_the_history(world: World) -> None:
    assert world.run("up", 1).ok
    assert world.run("destroy", 1).ok
    entries = sorted((world.root / ".pulumi/history/parity/dev").glob("*.history.json"))
    found = [json.loads(path.read_bytes()) for path in entries]
    assert [(entry["kind"], entry["result"], entry["resourceChanges"]) for entry in found] == [
        ("update", "succeeded", {"create": 4}),
        ("destroy", "succeeded", {"delete": 4}),
    ]
    assert "hunter22" not in json.dumps(found)
