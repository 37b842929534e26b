"""What a rule refuses is refused on a real machine before anything of it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.conftest import PORT_SHIFT, Platform, make_project
from tests.host.machine import folders, processes, users

ENVIRONMENT = "refused"


@pytest.fixture
def refused(tmp_path: Path) -> Iterator[Platform]:
    """An environment whose models may run code of their files' choice."""
    project = make_project(tmp_path, ENVIRONMENT, 2 * PORT_SHIFT)
    project.edit("    serving: {", "    serving: {trusted_types: [os.system], ")
    yield project
    project.terrace("destroy", ENVIRONMENT, "--yes", "--delete-data")


def test_what_a_rule_refuses_is_not_touched(refused: Platform) -> None:
    for targets in ((), ("--target", "platform/base", "--target", "platform/authority")):  # neither is what is wrong
        stopped = refused.terrace("up", ENVIRONMENT, "--yes", *targets, check=False)
        assert stopped.returncode == 1
        assert "error: serving/mlserver-service: M19 models are of formats that run no code" in stopped.stderr
        assert "fix: register models as skops" in stopped.stderr
    assert (folders(ENVIRONMENT), users(ENVIRONMENT), processes(ENVIRONMENT)) == ([], [], [])
    assert refused.json("check", ENVIRONMENT, check=False)["environments"][0]["summary"]["mandatory"] == 1
