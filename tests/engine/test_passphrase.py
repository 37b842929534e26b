"""Where a stack's passphrase comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrace.engine import find_passphrase, passphrase_file
from terrace.errors import InputError


def test_the_variable_comes_first_even_if_it_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / "absent"))
    found = find_passphrase("p", "dev")
    assert (found.value, found.source) == ("", "PULUMI_CONFIG_PASSPHRASE")


def test_then_the_file_that_the_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "word"
    file.write_text("open sesame\n", encoding="utf-8")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(file))
    found = find_passphrase("p", "dev")
    assert (found.value, found.source, found.made) == ("open sesame", str(file), False)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / "absent"))
    with pytest.raises(InputError, match="absent: the passphrase file can't be read\n  why: No such file"):
        find_passphrase("p", "dev")


def test_a_stack_with_secrets_gets_no_new_passphrase() -> None:
    with pytest.raises(InputError, match="the passphrase of stack dev is missing"):
        find_passphrase("p", "dev", has_secrets=True)
    assert not passphrase_file("p", "dev").exists()


def test_without_a_config_folder_it_is_in_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert passphrase_file("p", "dev") == tmp_path / ".config/terrace/p/dev.passphrase"


def test_of_two_that_make_one_at_once_both_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    path = passphrase_file("p", "dev")
    first = find_passphrase("p", "dev")
    monkeypatch.setattr(Path, "exists", lambda self: self != path)  # the second looked before the first had written
    second = find_passphrase("p", "dev")
    assert second.value == first.value
