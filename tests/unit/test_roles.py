"""What single lines of the Ansible roles decide."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jinja2 import Environment

ROLES = Path(__file__).parents[2] / "ansible" / "roles"


@pytest.mark.parametrize(
    ("found", "installs"),
    [("uv 0.9.1", False), ("uv 0.9.1 (abc 2025-10-01)", False), ("uv 0.9.10", True), ("uv 0.9", True), (None, True)],
)
def test_uv_is_installed_unless_just_this_version_is_there(found: str | None, installs: bool) -> None:
    tasks = yaml.safe_load((ROLES / "base" / "tasks" / "uv.yml").read_text(encoding="utf-8"))
    when = Environment(autoescape=True).compile_expression(tasks[1]["when"])
    output = {} if found is None else {"stdout": found}
    assert when(base_uv_version="0.9.1", base_uv_found=output) is installs


def test_no_supervisor_gives_a_service_up() -> None:
    templates = ROLES / "service" / "templates"
    assert "StartLimitIntervalSec=0" in (templates / "unit.service.j2").read_text(encoding="utf-8").splitlines()
    programs = (templates / "programs.conf.j2").read_text(encoding="utf-8").splitlines()
    assert "startretries=1000000" in programs


def test_another_host_is_told_of_a_route_in_the_same_words() -> None:
    def options(role: str, option: str) -> dict[str, object]:
        specs = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
        found: dict[str, object] = specs["argument_specs"]["main"]["options"][option]["options"]
        return found

    for option in ("service_routes", "service_metrics"):
        assert options("announcement", option).keys() == options("service", option).keys()
