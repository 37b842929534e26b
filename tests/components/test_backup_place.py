"""A place on another machine as it is planned: one key for all hosts, told to nobody who needn't know it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.backup.parts.ssh_place import SshPlace
from terrace import platform
from terrace.resolve import Blueprint
from terrace.ssh_key import pair
from tests.components.recording import ENVIRONMENT, Recorded, blueprint, plan
from tests.components.test_hosts import HOSTS, KEY, _blueprint
from tests.policies.test_plans import findings_of

PLACE = SshPlace(address="backup.example.org", user="keeper", port=2222, host_key=KEY, path="/srv/backups")


def _with_place(plain: Blueprint) -> Blueprint:
    return replace(plain, slots={**plain.slots, "backup": plain.slots["backup"].model_copy(update={"place": PLACE})})


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """The stack's outputs, once ``planned`` is."""
    return {}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory, shown: dict[str, Any]) -> dict[str, Recorded]:
    def look(built: platform.Platform) -> Any:
        shown["services"] = built.services
        return pulumi.Output.from_input(built.public_keys).apply(lambda keys: shown.update(public_keys=keys))

    wanted = _with_place(_blueprint(tmp_path_factory.mktemp("hosts"), HOSTS))
    return {resource.name: resource for resource in plan(wanted, look) if resource.custom}


def _variables(resource: Recorded) -> dict[str, Any]:
    variables: dict[str, Any] = json.loads(resource.inputs["variables"])
    return variables


def test_each_host_gets_there_with_the_platforms_one_key(planned: dict[str, Recorded]) -> None:
    assert [resource.name for resource in planned.values() if resource.type == "terrace:SshKey"] == ["backup-key"]
    folders = {"backup-service": ENVIRONMENT, "host-backup-front": f"{ENVIRONMENT}.front"}
    for name, folder in folders.items():
        variables = _variables(planned[name])
        assert variables["service_environment"]["BACKUP_PLACE"] == f"keeper@backup.example.org:/srv/backups/{folder}"
        configuration = f"/etc/terrace/{ENVIRONMENT}/{variables['service_name']}"
        assert variables["service_environment"]["BACKUP_SSH"] == f"{configuration}/ssh"
        files = {file["path"]: file["content"] for file in variables["service_files"]}
        assert files["ssh/key"] == "[backup-key]"
        assert files["ssh/known_hosts"] == f"place {KEY}\n"
        assert "openssh-client" in variables["service_packages"]
        for line in (
            "HostName backup.example.org",
            "Port 2222",
            "User keeper",
            f'UserKnownHostsFile "{configuration}/ssh/known_hosts"',
            "GlobalKnownHostsFile /dev/null",
            "StrictHostKeyChecking yes",
            "PasswordAuthentication no",
            "IdentitiesOnly yes",
            "IdentityAgent none",
        ):
            assert f"  {line}\n" in files["ssh/config"]


def test_the_key_stands_nowhere_else(planned: dict[str, Recorded]) -> None:
    others = [resource for name, resource in planned.items() if name not in ("backup-service", "backup-key")]
    others = [resource for resource in others if not resource.name.startswith("host-backup")]
    assert [resource.name for resource in others if "[backup-key]" in json.dumps(resource.inputs)] == []
    variables = _variables(planned["backup-service"])
    variables.pop("service_files")
    assert "[backup-key]" not in json.dumps(variables)


def test_no_folder_is_made_for_it_on_a_host(planned: dict[str, Recorded]) -> None:
    assert [name for name, resource in planned.items() if resource.inputs.get("role") == "backup_place"] == []


def test_people_are_told_what_to_let_in_and_where_backups_are(
    planned: dict[str, Recorded], shown: dict[str, Any]
) -> None:
    assert planned
    line = f'restrict,command="internal-sftp" [backup-key] terrace-{ENVIRONMENT}'
    assert shown["public_keys"] == {"backup": line}
    urls = {service["url"] for service in shown["services"] if service["slot"] == "backup"}
    assert urls == {"sftp://keeper@backup.example.org:2222/srv/backups"}


def test_a_folder_of_the_host_needs_no_key(tmp_path: Path) -> None:
    keys: list[Any] = []
    made = plan(blueprint(3, tmp_path), lambda built: keys.append(built.public_keys))
    assert keys == [{}]
    assert [resource for resource in made if resource.type == "terrace:SshKey"] == []


def test_it_keeps_the_rules(tmp_path: Path) -> None:
    findings = findings_of(_with_place(blueprint(5, tmp_path)))
    assert [each for each in findings if each.stops or each.is_open] == []
    kept = {each.rule.id for each in findings if each.resource.path == "backup/backup-service"} & {"M27", "M32"}
    passed = {each.rule.id for each in findings if each.resource.slot == "backup" and each.status == "passes"}
    assert kept == {"M27", "M32"} <= passed


def test_a_pair_is_what_openssh_reads(tmp_path: Path) -> None:
    public, private = pair()
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text(private)
    read = ["ssh-keygen", "-y", "-f", str(file)]
    assert subprocess.run(read, capture_output=True, text=True, check=True).stdout.split() == public.split()
    assert pair() != (public, private)
