"""What single lines of the Ansible roles decide."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
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


LISTENER = {"port": 15000, "service": "mlflow", "callers": ["gateway", "mlflow"], "hosts": []}
ACCOUNTS = [
    "root:x:0:0:root:/root:/bin/bash",
    "ann:x:1001:1001:Ann, of data:/home/ann:/bin/bash",
    "terrace-case-gateway:x:996:994::/var/lib/terrace/case/gateway:/usr/sbin/nologin",
    "terrace-case-mlflow:x:997:995::/var/lib/terrace/case/mlflow:/usr/sbin/nologin",
]


def firewall(accounts: list[str]) -> Templar:
    """Return what the role's expressions are worked out with on a machine with these accounts."""
    given = {
        "terrace_environment": "case",
        "firewall_listeners": [LISTENER],
        "firewall_allow_users": ["ann"],
        "firewall_accounts": {"stdout_lines": accounts},
    }
    return role("firewall", given)


def role(name: str, given: dict[str, Any]) -> Templar:
    """Return what a role's expressions are worked out with, where its variables are these beside its own."""
    loader = DataLoader()
    own = loader.load_from_file(str(ROLES / name / "vars" / "main.yml"), trusted_as_template=True)
    return Templar(loader=loader, variables=own | given)


def rendered(templar: Templar, name: str, template: str) -> Any:
    """Return what one of a role's templates becomes."""
    return templar.template(trust_as_template((ROLES / name / "templates" / template).read_text(encoding="utf-8")))


def worked_out(templar: Templar, expression: str) -> Any:
    return templar.template(trust_as_template("{{ " + expression + " }}"))


def task(name: str, file: str, title: str) -> dict[str, Any]:
    """Return one task of a role."""
    tasks = yaml.safe_load((ROLES / name / "tasks" / file).read_text(encoding="utf-8"))
    return next(one for one in tasks if one["name"] == title)


def test_the_firewalls_rules_hold_numbers_so_that_they_load_whoever_goes() -> None:
    rules = rendered(firewall(ACCOUNTS), "firewall", "rules.nft.j2")
    assert [line.strip() for line in rules.splitlines() if "skuid" in line] == [
        "meta skuid { 0, 1001 } accept",
        "tcp dport 15000 meta skuid { 996, 997 } accept",
    ]


def test_the_firewall_refuses_to_allow_an_account_that_is_not_there() -> None:
    refuse = task("firewall", "main.yml", "Refuse to allow an account that isn't there")["ansible.builtin.assert"]
    assert worked_out(firewall(ACCOUNTS), refuse["that"]) is True
    without = firewall([line for line in ACCOUNTS if "ann" not in line])
    assert worked_out(without, refuse["that"]) is False
    assert "has no account ann." in without.template(trust_as_template(refuse["fail_msg"]))


def test_the_firewalls_table_comes_back_with_whatever_flushes_it() -> None:
    unit = (ROLES / "firewall" / "templates" / "unit.service.j2").read_text(encoding="utf-8").splitlines()
    start = next(line.removeprefix("ExecStart=") for line in unit if line.startswith("ExecStart="))
    assert f"ExecReload={start}" in unit
    assert {"PartOf=nftables.service", "ReloadPropagatedFrom=nftables.service"} <= set(unit)
    assert "WantedBy=multi-user.target nftables.service" in unit


@pytest.mark.parametrize(
    ("packages", "ours"), [("sudo\nunattended-upgrades\n", True), ("sudo\n", False), (None, False)]
)
def test_updates_that_are_not_wanted_any_more_are_switched_off(packages: str | None, ours: bool) -> None:
    """The package installs updates by itself, unless it is told not to: without the file it goes on."""
    found = {} if packages is None else {"content": base64.b64encode(packages.encode()).decode()}
    given = {"hardening_packages": found, "hardening_security_updates": False, "terrace_environment": "case"}
    templar = role("hardening", given)
    told = rendered(templar, "hardening", "updates.conf.j2")
    assert 'APT::Periodic::Unattended-Upgrade "0";' in told
    assert task("hardening", "main.yml", "Let them install themselves no more")["when"] == (
        "not hardening_security_updates"
    )
    wanted = [
        task("hardening", "no_updates.yml", title)["when"]
        for title in ("Switch off what came with the environment", "Leave the machine's own to the machine")
    ]
    assert [worked_out(templar, when) for when in wanted] == [ours, not ours]


@pytest.mark.parametrize(
    ("shell", "keys", "counts"),
    [
        ("/bin/bash", "ssh-ed25519 AAAAC3Nz ann@laptop", True),
        ("", '# a comment\n  from="10.0.0.0/8",no-pty sk-ssh-ed25519@openssh.com AAAAGnNr ann', True),
        ("/usr/bin/zsh", "# ssh-ed25519 AAAAC3Nz ann@laptop\n\n", False),
        ("/bin/bash", "to be done", False),
        ("/usr/sbin/nologin", "ssh-ed25519 AAAAC3Nz ann@laptop", False),
        ("/bin/false", "ecdsa-sha2-nistp256 AAAAE2Vj ann@laptop", False),
        ("/bin/bash", None, False),
    ],
)
def test_who_could_log_in_has_a_shell_and_a_key(tmp_path: Path, shell: str, keys: str | None, counts: bool) -> None:
    if keys is not None:
        (tmp_path / ".ssh").mkdir()
        (tmp_path / ".ssh" / "authorized_keys").write_text(keys, encoding="utf-8")
    lines = [f"ann:x:1001:1001::{tmp_path}:{shell}", "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin"]
    templar = role("hardening", {"hardening_accounts": {"stdout_lines": lines}})
    look = task("hardening", "ssh.yml", "Look who could log in with a key")["ansible.builtin.command"]
    done = subprocess.run(
        templar.template(trust_as_template(look["argv"])), capture_output=True, text=True, check=False
    )
    assert (done.stdout != "", done.stderr) == (counts, "")


def test_settings_that_the_ssh_server_does_not_take_give_way_to_those_of_before() -> None:
    tasks = task("hardening", "ssh.yml", "Tell the SSH server")["rescue"]
    restored = {"terrace_environment": "case", "hardening_ssh_before": {"content": base64.b64encode(b"held").decode()}}
    first = {"terrace_environment": "case", "hardening_ssh_before": {"failed": False}}
    done = [
        [one["name"] for one in tasks[:-1] if worked_out(role("hardening", given), one["when"])]
        for given in (restored, first)
    ]
    assert done == [["Bring back its settings of before"], ["Take its settings back"]]
    (file,) = tasks[0]["terrace_files"]["files"]
    assert role("hardening", restored).template(trust_as_template(file["content"])) == "held"


@pytest.mark.parametrize(
    ("home", "keys", "given"),
    [(0, 1001, True), (1002, 1001, False), (0, 1002, False), (0, 0, False), (0, None, False), (None, None, False)],
)
def test_an_admin_who_is_back_has_what_was_theirs(home: int | None, keys: int | None, given: bool) -> None:
    """The account is number 1002 now; the home that was shut is root's, and its keys' folder has the former number."""
    shut, before = (
        {"stat": {"exists": False} if uid is None else {"exists": True, "uid": uid}} for uid in (home, keys)
    )
    made = {"uid": 1002, "group": 1003}
    variables = {"terrace_instance": "ann", "users_shut": shut, "users_before": before, "users_made": made}
    templar = role("users", variables | {"ansible_check_mode": False})
    give = task("users", "main.yml", "Give what is in there back")
    assert all(worked_out(templar, when) for when in give["when"]) is given
    if given:
        words = give["ansible.builtin.command"]["argv"][-3:]
        assert [templar.template(trust_as_template(word)) for word in words] == [
            "--from=1001",
            "1002:1003",
            "/home/ann",
        ]


def _route(path: str, auth: str = "gateway", **other: Any) -> dict[str, Any]:
    needs = [{"request": "^GET ", "right": "read"}]
    route = {"path": path, "port": 15000, "auth": auth, "slot": "", "needs": needs, "keep_path": False, "hidden": []}
    return {**route, "body_mb": 8, "servers": {}, **other}


def test_requests_that_the_gateway_lets_in_go_by_connections_that_stay_open() -> None:
    routes = [_route("/feast/"), _route("/drift/", port=15001, keep_path=True), _route("/mlflow/", "own", port=15002)]
    templar = Templar(loader=DataLoader(), variables={"service_routes": routes})
    locations = rendered(templar, "service", "routes.conf.j2")
    places = re.findall(r"proxy_pass http://(\S*);", locations)
    assert places == ["service__feast_/", "service__drift_", "127.0.0.1:15002/"]
    servers = rendered(templar, "service", "routes.needs.j2")
    found = dict(re.findall(r"upstream (\S+) \{\n  server (\S+);\n  keepalive ", servers))
    assert found == {"service__feast_": "127.0.0.1:15000", "service__drift_": "127.0.0.1:15001"}
