"""Talking to a platform that is up, or that only seems to be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from terrace.errors import OperationError
from terrace.web import trust
from tests.unit.played import Recorded, result, run


@pytest.mark.parametrize("content", [None, "not a certificate\n"])
def test_an_authority_that_is_gone_or_none_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.crt"
    if content:
        file.write_text(content)
    with pytest.raises(OperationError, match="can't be read") as refused:
        trust(file)
    assert refused.value.where == str(file)
    assert "terrace up" in (refused.value.fix or "")


def test_a_platform_whose_files_are_gone_can_be_destroyed(play: Callable[..., Recorded], tmp_path: Path) -> None:
    connection = {
        "TERRACE_GATEWAY_USER": "terrace",
        "TERRACE_GATEWAY_PASSWORD": "pa55word",
        "TERRACE_CA_FILE": str(tmp_path / "gone.crt"),
    }
    shown = {
        "endpoints": {"audit": "https://localhost:8443/audit/"},
        "connection": connection,
        "credentials": {"audit": {"password": "key"}},
    }
    stack = play(Recorded(result(), shown=shown))
    refused = run("audit")
    assert refused.exit_code == 1
    assert "gone.crt" in refused.stderr
    assert run("destroy", "--yes").exit_code == 0
    assert "destroy" in stack.ran
