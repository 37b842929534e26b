"""The stack file: what a program gets of it, and adding the salt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terrace.engine import Project, UnsupportedError, ensure_encryption_salt
from terrace.engine.secrets import Crypter
from terrace.engine.stackfile import StackFile
from terrace.errors import InputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Pulumi.dev.yaml"


def test_values_are_text_and_objects_are_json_as_go_writes_it(path: Path, crypter: Crypter) -> None:
    path.write_text(
        """
        config:
          plain: text
          number: 1.5
          flag: true
          nothing: null
          whole: 1.0
          large: 1e3
          day: 2024-01-02
          other:object: {b: [1, {c: <é&>}], a: false, 3: x}
        """,
        encoding="utf-8",
    )
    file = StackFile.load(path, "p")
    assert file.values(crypter) == {
        "p:plain": "text",
        "p:number": "1.5",
        "p:flag": "true",
        "p:nothing": "",
        "p:whole": "1",
        "p:large": "1000",
        "p:day": "2024-01-02 00:00:00 +0000 UTC",
        "other:object": '{"3":"x","a":false,"b":[1,{"c":"\\u003cé\\u0026\\u003e"}]}',
    }
    assert not file.has_secrets()
    assert file.secret_keys() == []


def test_the_history_holds_the_config_as_the_cli_was_seen_to_note_it(path: Path) -> None:
    path.write_text(
        """
        config:
          num: 1
          float: 1.50
          flag: true
          none:
          secret: {secure: v1:abc}
          o: {d: 2026-11-24, e: 1e3, t: 2026-11-24T10:00:00Z, l: []}
          l: []
          d: 2026-11-24
        """,
        encoding="utf-8",
    )
    assert json.loads(json.dumps(StackFile.load(path, "p").recorded())) == {
        "p:num": "1",
        "p:float": "1.5",
        "p:flag": "true",
        "p:none": "",
        "p:secret": {"secure": "v1:abc"},
        "p:o": {"d": "2026-11-24 00:00:00 +0000 UTC", "e": 1000, "t": "2026-11-24 10:00:00 +0000 UTC", "l": []},
        "p:l": [],
        "p:d": "2026-11-24 00:00:00 +0000 UTC",
    }


def test_secrets_are_found_at_every_depth(path: Path, crypter: Crypter) -> None:
    secure = {"secure": crypter.encrypt("hunter22")}
    config = {
        "a": secure,
        "b": {"list": [{"x": secure}]},
        "c": {"secure": 1},
        "d": {"secure": "open", "more": 1},
    }
    path.write_text(json.dumps({"config": config}), encoding="utf-8")
    file = StackFile.load(path, "p")
    assert file.has_secrets()
    assert file.secret_keys() == ["p:a", "p:b"]
    values = file.values(crypter)
    assert (values["p:a"], values["p:b"]) == ("hunter22", '{"list":[{"x":"hunter22"}]}')
    assert values["p:d"] == '{"more":1,"secure":"open"}'


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "config:\n"])
def test_no_file_or_an_empty_one_has_no_config(path: Path, text: str | None) -> None:
    if text is not None:
        path.write_text(text, encoding="utf-8")
    file = StackFile.load(path, "p")
    assert (file.salt, file.config) == ("", {})


@pytest.mark.parametrize(
    ("text", "what"),
    [("a: [", "not YAML"), ("- a", "not a mapping"), ("config: [a]", "`config` isn't a mapping")],
)
def test_a_file_of_another_shape(path: Path, text: str, what: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"Pulumi.dev.yaml: {what}"):
        StackFile.load(path, "p")


@pytest.mark.parametrize("line", ["secretsprovider: awskms://x", "encryptedkey: x", "environment: [a]"])
def test_what_only_the_cli_can_do_is_refused(path: Path, line: str) -> None:
    path.write_text(line, encoding="utf-8")
    with pytest.raises(UnsupportedError, match=f"`{line.partition(':')[0]}` isn't supported"):
        StackFile.load(path, "p")


def test_a_passphrase_is_what_can_be_done(path: Path) -> None:
    path.write_text("secretsprovider: passphrase\nencryptionsalt: v1:x", encoding="utf-8")
    assert StackFile.load(path, "p").salt == "v1:x"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("config:\n  a: 1\n", "encryptionsalt: S\nconfig:\n  a: 1\n"),
        ("# mine\n\n---\nconfig: {}\n", "# mine\n\n---\nencryptionsalt: S\nconfig: {}\n"),
        ("# mine", "# mine\nencryptionsalt: S\n"),
        ("", "encryptionsalt: S\n"),
        ("config: {}\nencryptionsalt: old\n", "config: {}\nencryptionsalt: old\n"),
    ],
)
def test_the_salt_is_added_and_nothing_else_changes(path: Path, before: str, after: str) -> None:
    path.write_text(before, encoding="utf-8")
    path.chmod(0o640)
    ensure_encryption_salt(path, "S")
    assert path.read_text(encoding="utf-8") == after
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_salt_makes_the_file(path: Path) -> None:
    ensure_encryption_salt(path, "S")
    assert path.read_text(encoding="utf-8") == "encryptionsalt: S\n"
    assert path.stat().st_mode & 0o777 == 0o644


def _project(folder: Path, text: str) -> Path:
    (folder / "Pulumi.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_project_says_where_its_parts_are(tmp_path: Path) -> None:
    text = "name: p\nruntime: python\nmain: src\nstackConfigDir: stacks\ndescription: d\nbackend: {url: file://x}\n"
    project = Project.load(_project(tmp_path, text))
    assert project.main == tmp_path / "src"
    assert project.stack_file("dev") == tmp_path / "stacks/Pulumi.dev.yaml"
    assert (project.backend_url, project.description) == ("file://x", "d")


def test_the_backend_of_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _project(tmp_path, "name: p\nruntime: {name: python}\n")
    assert Project.load(folder).backend_url == "file://~"
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///elsewhere")
    assert Project.load(folder).backend_url == "file:///elsewhere"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("runtime: python", "the project has no name"),
        ("name: 3\nruntime: python", "the project has no name"),
        ("name: p\nruntime: {name: go}", "the runtime is 'go'"),
        ("name: p", "the runtime is None"),
        ("name: [", "not YAML"),
        ("- name", "not a mapping"),
    ],
)
def test_what_is_no_python_project(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(InputError, match=f"Pulumi.yaml: {what}"):
        Project.load(_project(tmp_path, text))


def test_a_folder_without_a_project(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no Pulumi\.yaml here"):
        Project.load(tmp_path)
