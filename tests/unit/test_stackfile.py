"""Positions in stack files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from terrace import stackfile
from terrace.errors import InputError, Location

TEXT = """\
# A comment.
config:
  terrace:tier: 3
  "quoted key":   value
  list: [a, {b: c}]
  items:
    - one
    - two: 2
  nothing:
"""


@pytest.fixture
def file(tmp_path: Path) -> stackfile.StackFile:
    path = tmp_path / "Pulumi.case.yaml"
    path.write_text(TEXT)
    return stackfile.read(path, "case")


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ((), "1:1", "1:1"),
        (("config",), "2:1", "3:3"),
        (("config", "terrace:tier"), "3:3", "3:17"),
        (("config", "quoted key"), "4:3", "4:19"),
        (("config", "list", 0), "5:10", "5:10"),
        (("config", "list", 1, "b"), "5:14", "5:17"),
        (("config", "items", 0), "7:7", "7:7"),
        (("config", "items", 1, "two"), "8:7", "8:12"),
        (("config", "nothing"), "9:3", "9:3"),
        (("config", "list", 7), "5:3", "5:9"),
        (("config", "terrace:tier", "deeper", "still"), "3:3", "3:17"),
        (("config", "absent"), "2:1", "3:3"),
        (("absent", "config"), "1:1", "1:1"),
    ],
)
def test_places(file: stackfile.StackFile, path: tuple[str | int, ...], key: str, value: str) -> None:
    """What is not there has the place of the nearest thing around it."""
    assert str(file.key(path)) == f"case:{key}"
    assert str(file.value(path)) == f"case:{value}"


@given(st.lists(st.text("abcdefgh", min_size=1), min_size=1, max_size=6, unique=True), st.integers(0, 5))
def test_a_place_is_where_the_text_has_it(names: list[str], indent: int) -> None:
    lines = ["outer:", *(f"{' ' * (indent + 1)}{name}_: {name}" for name in names)]
    file = stackfile.StackFile("case", YAML(typ="rt").load("\n".join(lines)))

    for name in names:
        key, value = file.key(("outer", f"{name}_")), file.value(("outer", f"{name}_"))
        assert lines[key.line - 1][key.column - 1 :].startswith(f"{name}_:")
        assert lines[value.line - 1][value.column - 1 :] == name


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("# nothing\n")

    assert stackfile.read(tmp_path / "file", "case").data == {}


def test_text_beyond_ascii_before_a_wrong_byte_counts_by_characters(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes("a: 1\nb: öäü ".encode() + b"\xff")

    with pytest.raises(InputError) as caught:
        stackfile.read(tmp_path / "file", "case")

    assert caught.value.where == Location("case", 2, 8)


def test_a_key_that_is_no_text_twice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1: a\n1: b\n")

    with pytest.raises(InputError) as caught:
        stackfile.read(tmp_path / "file", "case")

    assert caught.value.where == Location("case", 2, 1)
    assert "twice" in caught.value.what
