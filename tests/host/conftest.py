"""A real platform on this machine, in an environment of the tests' own: other ports, folders, users, and state."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import requests
import testinfra
from testinfra.host import Host

from terrace.pipelines import PipelineClient
from terrace.spec import Role
from tests.host.pipelines import client

ROOT = Path(__file__).parents[2]
ENVIRONMENT = "test"
PORT_SHIFT = 10000  # from the default ports to the tests' own
MAIL_PORT, HOOK_PORT = 15025 + PORT_SHIFT, 15026 + PORT_SHIFT
RECEIVER_SECRETS = {"password": "mail-pa55word-of-the-tests", "token": "hook-t0ken-of-the-tests"}
# A use case whose model has inputs that may not be kept in plain; the tests of serving register it.
USE_CASE = """\
      test-of-serving:
        goal: See that what is sent to a model is kept as its class of data allows.
        kpi: plain addresses that are found
        baseline: none
        owner: data-science
        sources:
          - {name: people, class: pii, columns: [email], keep_days: 30}
          - {name: places, class: confidential, columns: [place]}
        risk_class: minimal
        intended_use: Tests of this platform, and nothing else.
"""
# Otherwise the made-up address keeps the platform from a machine whose disk isn't encrypted.
WAIVERS = """\
    waivers:
      - rule: M14
        resource: platform/host
        reason: The personal data of the tests is made up.
        owner: data-science
        expires: 2999-12-31
"""


@dataclass(frozen=True)
class Platform:
    """A copy of the project's stacks, driven through its command line."""

    root: Path
    environment: str
    variables: dict[str, str]

    def terrace(self, *arguments: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run ``terrace <arguments>`` on this copy and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "terrace", *arguments, "--project", str(self.root)],
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"terrace {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *arguments: str, check: bool = True) -> Any:
        """Run a command with ``--json`` and return what it printed as data."""
        return json.loads(self.terrace(*arguments, "--json", check=check).stdout)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs with the secrets among them."""
        shown: dict[str, Any] = self.json("output", self.environment, "--show-secrets")
        return shown

    def edit(self, old: str, new: str) -> None:
        """Change the environment's spec."""
        text = self.stack_file.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {self.stack_file}"
        self.stack_file.write_text(text.replace(old, new), encoding="utf-8")

    @property
    def stack_file(self) -> Path:
        """Where the environment's spec stands."""
        return self.root / "stacks" / f"Pulumi.{self.environment}.yaml"


def make_project(folder: Path, environment: str, port_shift: int) -> Platform:
    """Copy the stacks into ``folder`` with an environment like ``local``, every port shifted by ``port_shift``."""
    shutil.copy(ROOT / "Pulumi.yaml", folder / "Pulumi.yaml")
    shutil.copytree(ROOT / "stacks", folder / "stacks", ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    local = (ROOT / "stacks" / "Pulumi.local.yaml").read_text(encoding="utf-8")
    stack_file = folder / "stacks" / f"Pulumi.{environment}.yaml"
    plain = re.sub(r"(?m)^encryptionsalt:.*\n", "", local).replace("    team:\n", f"    team:\n{_people()}")
    plain = plain.replace("    use_cases:\n", f"    use_cases:\n{USE_CASE}")
    assert USE_CASE in plain
    stack_file.write_text(plain + _ports(port_shift) + WAIVERS, encoding="utf-8")
    home = folder / "home"
    home.mkdir()
    return Platform(folder, environment, _variables(home))


def _variables(home: Path) -> dict[str, str]:
    variables = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "NO_COLOR": "1"}
    variables["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), str(ROOT / ".uv" / "bin")))
    variables["UV_CACHE_DIR"] = os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL"):
        variables.pop(name, None)
    return variables


def account(role: str) -> str:
    """Return the name of the person on the tests' team who has this role and no other."""
    return role.replace("_", "-")


def _people() -> str:
    """Return the lines of a team with a person for each role, and one without any."""
    lines = [f"        {account(role)}: {{roles: [{role}]}}\n" for role in get_args(Role)]
    return "".join(["      people:\n", *lines, "        nobody: {}\n"])


def _ports(shift: int) -> str:
    """Return the lines that move every port option of the local environment's flavors."""
    from terrace import config
    from terrace.resolve import resolve

    blueprint = resolve(config.load(ROOT, "local"))
    lines = []
    for slot, spec in blueprint.slots.items():
        ports = {name: port + shift for name, port in spec.model_dump().items() if re.fullmatch(r"(\w+_)?port", name)}
        if ports:
            options = ", ".join(f"{name}: {port}" for name, port in ports.items())
            lines.append(f"    {slot}: {{flavor: {spec.flavor}, {options}}}\n")
    return "".join(lines)


def add_receivers(project: Platform) -> None:
    """Have alerts sent to a mail server and a webhook on this machine, which tests/host/test_notices.py starts."""
    secrets = {name: _encrypted(project, value) for name, value in RECEIVER_SECRETS.items()}
    lines = f"""\
    notify:
      email:
        host: localhost
        port: {MAIL_PORT}
        from: terrace@example.org
        to: [ann@example.org, bob@example.org]
        ca_file: /etc/terrace/{project.environment}/ca.crt
        user: terrace
        password: {secrets["password"]}
      webhook: {{url: "http://127.0.0.1:{HOOK_PORT}/alerts", token: {secrets["token"]}}}
"""
    project.stack_file.write_text(project.stack_file.read_text(encoding="utf-8") + lines, encoding="utf-8")


def _encrypted(project: Platform, secret: str) -> str:
    command = [sys.executable, "-m", "terrace", "encrypt", project.environment, "--project", str(project.root)]
    done = subprocess.run(command, env=project.variables, input=secret, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that take the shared platform down after all others."""
    items.sort(key=lambda item: item.path.name == "test_destroy.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let somebody who works on these tests keep the platform between two runs."""
    parser.addoption("--keep-platform", type=Path, metavar="DIR", help="leave the tests' platform up, with this folder")


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Platform]:
    """A platform that is up; destroyed with its data at the end of the session."""
    kept: Path | None = request.config.getoption("--keep-platform")
    if kept:
        yield _kept_platform(kept)
        return
    project = make_project(tmp_path_factory.mktemp("project"), ENVIRONMENT, PORT_SHIFT)
    add_receivers(project)
    try:
        project.terrace("up", ENVIRONMENT, "--yes")
        yield project
    finally:
        project.terrace("destroy", ENVIRONMENT, "--yes", "--delete-data")
        shutil.rmtree(f"/var/backups/terrace/{ENVIRONMENT}", ignore_errors=True)  # backups outlive a platform


def _kept_platform(folder: Path) -> Platform:
    if folder.is_dir():
        project = Platform(folder, ENVIRONMENT, _variables(folder / "home"))
    else:
        folder.mkdir()
        project = make_project(folder, ENVIRONMENT, PORT_SHIFT)
        add_receivers(project)
    project.terrace("up", ENVIRONMENT, "--yes")
    return project


@pytest.fixture(scope="session")
def outputs(platform: Platform) -> dict[str, Any]:
    """The platform's outputs with the secrets among them."""
    return platform.outputs()


@pytest.fixture(scope="session")
def gateway(outputs: dict[str, Any]) -> requests.Session:
    """A client of the gateway with its account."""
    account = outputs["credentials"]["gateway"]
    session = requests.Session()
    session.trust_env = False
    session.verify = outputs["connection"]["TERRACE_CA_FILE"]
    session.auth = (account["user"], account["password"])
    return session


@pytest.fixture(scope="session")
def pipelines(outputs: dict[str, Any]) -> PipelineClient:
    """A client of the platform's pipelines with the account of projects."""
    return client(outputs)


@pytest.fixture(scope="session")
def host() -> Host:
    """This machine, as testinfra sees it."""
    return testinfra.get_host("local://")
