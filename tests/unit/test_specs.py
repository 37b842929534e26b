"""Whole stack files: what a valid one is resolved to, and what a wrong one's author is told, word for word.

A case is a file of tests/specs. Its lines that begin with ``#!`` say what is expected: of
``<subject>.error.<why>.yaml`` the whole message, of ``<subject>.ok.yaml`` ``<path> = <value> (<where it came from>)``.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from terrace import config, graph, stackfile
from terrace.catalog import Catalog
from terrace.errors import InputError, InputErrors
from terrace.explain import explain
from terrace.resolve import Blueprint, resolve

SPECS = Path(__file__).parents[1] / "specs"
ERRORS = sorted(SPECS.glob("*.error.*.yaml"))
RIGHT = sorted(SPECS.glob("*.ok.yaml"))


def case_name(file: Path) -> str:
    return file.name.removesuffix(".yaml")


def expected(file: Path) -> list[str]:
    lines = file.read_bytes().decode("utf-8", "replace").splitlines()
    return [line.removeprefix("#! ") for line in lines if line.startswith("#! ")]


def blueprint_of(file: Path, root: Path) -> Blueprint:
    """Go the way that a stack file goes before anything is touched."""
    (root / "stacks").mkdir()
    (root / "stacks" / "Pulumi.case.yaml").write_bytes(file.read_bytes())
    blueprint = resolve(config.load(root, "case"))
    assert set(graph.order(blueprint, Catalog())) == set(blueprint.slots)
    return blueprint


def test_every_case_has_a_kind_and_an_expectation() -> None:
    assert len(ERRORS) >= 50
    assert len(RIGHT) >= 15
    assert sorted(SPECS.iterdir()) == sorted([*ERRORS, *RIGHT])
    assert [file.name for file in (*ERRORS, *RIGHT) if not expected(file)] == []


@pytest.mark.parametrize("file", ERRORS, ids=case_name)
def test_a_wrong_file_is_explained(file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        blueprint_of(file, tmp_path)

    assert str(caught.value).splitlines() == expected(file)


@pytest.mark.parametrize("file", RIGHT, ids=case_name)
def test_a_right_file_is_resolved(file: Path, tmp_path: Path) -> None:
    values = {value.path: value for value in explain(blueprint_of(file, tmp_path)).values}

    found = {path: f"{path} = {value.value} ({value.detail})" for path, value in values.items()}
    assert [found.get(line.partition(" = ")[0]) for line in expected(file)] == expected(file)


@pytest.mark.parametrize("file", RIGHT, ids=case_name)
def test_reading_keeps_every_comment(file: Path) -> None:
    written = io.StringIO()
    YAML(typ="rt").dump(stackfile.read(file, file.name).data, written)

    comments = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip().startswith("#")]
    assert [comment for comment in comments if comment not in written.getvalue()] == []


def test_errors_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Line 9 before line 10, which as text would come first."""
    keys = "".join(f"    unknown_{number}: 1\n" for number in range(12))
    file = tmp_path / "case.yaml"
    file.write_text(f"config:\n  terrace:tier: 1\n  terrace:target: host\n  terrace:platform:\n{keys}")

    with pytest.raises(InputErrors) as caught:
        blueprint_of(file, tmp_path)

    lines = [error.where.line for error in caught.value.errors]  # type: ignore[union-attr]  # all have a Location
    assert lines == list(range(5, 17))
