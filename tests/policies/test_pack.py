"""The policy pack as the Pulumi CLI runs it: a process of its own, asked by Pulumi's protocol."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from policies.catalog import rules
from policies.resource import Resource
from policies.rule import BY_PROFILE
from policies.rules.services.supply_chain import problems
from policies.setting import Setting
from policies.values import UNKNOWN
from terrace.engine.values import SECRET, SIGNATURE, UNKNOWN_WIRE
from tests.policies.world import asked, broken, careful

PACK = Path(__file__).parents[2] / "policies"
MLFLOW = "tracking/mlflow-service"
PASSWORD = "hunter22-of-the-stack"
LEVELS = {"MANDATORY": True, "ADVISORY": False}


@dataclass(frozen=True)
class Pack:
    """A running pack."""

    stub: Any

    def findings(self, resources: tuple[Resource, ...]) -> set[tuple[str, str, bool]]:
        """Return (policy, URN, whether it is mandatory) of all that the pack tells of a stack."""
        told = []
        for each in resources:
            request = analyzer_pb2.AnalyzeRequest(
                type=each.type, properties=on_the_wire(each), urn=each.urn, name=each.name
            )
            told += [(each.urn, said) for said in self.stub.Analyze(request).diagnostics]
        told += [(said.urn, said) for said in self.whole(resources)]
        return {(said.policyName, urn, LEVELS[level_of(said)]) for urn, said in told}

    def whole(self, resources: tuple[Resource, ...]) -> Any:
        """Return what the pack tells of the stack as a whole."""
        listed = [
            analyzer_pb2.AnalyzerResource(type=each.type, properties=on_the_wire(each), urn=each.urn, name=each.name)
            for each in resources
        ]
        return self.stub.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=listed)).diagnostics


def level_of(said: Any) -> str:
    level: str = analyzer_pb2.EnforcementLevel.Name(said.enforcementLevel)
    return level


def on_the_wire(resource: Resource) -> struct_pb2.Struct:
    """Return properties as Pulumi sends them: numbers are floats, variables are secret, unknown values are marked."""
    sent = {}
    for name, value in resource.properties.items():
        known = UNKNOWN_WIRE if value is UNKNOWN else value
        sent[name] = {SIGNATURE: SECRET, "value": known} if name == "variables" else known
    wire = struct_pb2.Struct()
    wire.update(sent)
    return wire


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack's own environment, installed from its lock."""
    folder = tmp_path_factory.mktemp("pack") / ".venv"
    venv.create(folder, with_pip=True, symlinks=True)
    install = [folder / "bin/pip", "install", "--quiet", "--require-hashes", "-r", PACK / "requirements.txt"]
    subprocess.run(install, check=True)
    return folder / "bin/python"


def started(python: Path, tier: int, **platform: Any) -> Iterator[Pack]:
    """Start the pack as Pulumi does: in its folder, told of the stack by variables, with secrets opened."""
    config = {
        "terrace:tier": str(tier),
        "terrace:target": "host",
        "terrace:platform": json.dumps({"network": {"proxy": f"http://me:{PASSWORD}@proxy"}, **platform}),
    }
    variables = {"PULUMI_CONFIG": json.dumps(config), "PULUMI_STACK": "local", "PULUMI_PROJECT": "terrace"}
    process = subprocess.Popen(
        [python, "-u", "."],
        cwd=PACK,
        env={"PATH": os.environ["PATH"], "PULUMI_DRY_RUN": "true", "PYTHONDONTWRITEBYTECODE": "1", **variables},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    largest = [("grpc.max_receive_message_length", 2**28), ("grpc.max_send_message_length", 2**28)]
    with process, grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}", largest) as channel:
        yield Pack(analyzer_pb2_grpc.AnalyzerStub(channel))
        process.kill()


@pytest.fixture(scope="module")
def pack(python: Path) -> Iterator[Pack]:
    """The pack on a stack of tier 5, told the use cases of the project's own environment."""
    _, told = careful()
    use_cases = told.model_dump(mode="json", by_alias=True)["use_cases"]
    yield from started(python, 5, use_cases=use_cases)


def by_rules(resources: tuple[Resource, ...], told: Setting) -> set[tuple[str, str, bool]]:
    """Return what the pack is to tell: a policy for each rule and level."""
    return {
        (f"{each.rule.id}{'' if each.mandatory else '-advisory'}", each.resource.urn, each.mandatory)
        for each in asked(resources, told)
        if each.status == "violates"
    }


def test_its_environment_has_the_projects_versions() -> None:
    """Only `pulumi-policy`, and the protobuf that it wants, are its own."""
    project = (PACK.parent / "pyproject.toml").read_text(encoding="utf-8")
    wanted = (PACK / "requirements.in").read_text(encoding="utf-8").split()
    assert [line for line in wanted if f'"{line}"' not in project] == ["pulumi-policy==1.21.0"]
    locked = (PACK / "requirements.txt").read_text(encoding="utf-8")
    assert [line for line in wanted if f"{line.replace('ruamel.', 'ruamel-')} " not in locked] == []
    assert problems(locked) == ()


def test_a_pack_has_a_policy_for_each_rule(pack: Pack) -> None:
    about = pack.stub.GetAnalyzerInfo(empty_pb2.Empty())
    assert about.name == "terrace"
    names = {policy.name: analyzer_pb2.EnforcementLevel.Name(policy.enforcementLevel) for policy in about.policies}
    of_tier = {rule.id: "MANDATORY" for rule in rules() if rule.from_tier or 3 in rule.stricter}
    never = {
        f"{rule.id}-advisory": "ADVISORY" for rule in rules() if rule.from_tier is None or BY_PROFILE in rule.stricter
    }
    assert names == {**of_tier, **never, "set-aside": "ADVISORY"}


def test_what_keeps_the_rules_passes(pack: Pack) -> None:
    assert pack.findings(careful()[0]) == set()


def test_what_does_not_is_told_as_terrace_tells_it(pack: Pack) -> None:
    resources, told = careful()
    changed = broken(
        resources, MLFLOW, lambda v: v["service_processes"][0].update(command=["mlflow", "--host", "0.0.0.0"])
    )
    changed = broken(changed, MLFLOW, lambda v: v.update(service_reads_all=True))
    changed = broken(
        changed, "backup/backup-service", lambda v: v["service_environment"].update(BACKUP_PLACE="/var/backups/x")
    )
    found = pack.findings(changed)
    assert found == by_rules(changed, told)
    assert {policy for policy, *_ in found} == {"A11", "K4", "M3", "M32-advisory"}


def test_a_finding_names_property_and_fix(pack: Pack) -> None:
    changed = broken(careful()[0], MLFLOW, lambda v: v.update(service_reads_all=True))
    (said,) = pack.whole(changed)
    assert said.message.endswith(
        "each service has a user of its own: variables.service_reads_all: it may read every file of the machine, which "
        "only a backup needs\nFix: give the flavor's Workload a `name` of its own, and leave `reads_all` to the backup"
        "; in a cluster, leave `securityContext` as the target writes it"
    )


def test_what_is_not_known_yet_is_told_and_hides_nothing(pack: Pack) -> None:
    resources, _ = careful()
    unknown = tuple(
        replace(each, properties={**each.properties, "variables": UNKNOWN}) if each.path == MLFLOW else each
        for each in broken(resources, "portal/portal-service", lambda v: v.update(service_reads_all=True))
    )
    found = pack.findings(unknown)
    assert {policy for policy, *_ in found} == {"K4", "set-aside"}
    told = [said.message for said in pack.whole(unknown) if said.policyName == "set-aside"]
    assert len([each for each in told if "its value isn't known yet" in each]) >= 8


def test_tier_profiles_and_waivers_come_from_the_stack(python: Path) -> None:
    waiver = {"rule": "M32", "resource": "backup/*", "reason": "A disk is mounted there.", "owner": "ann"}
    platform = {"compliance": ["soc2"], "waivers": [{**waiver, "expires": "2999-12-31"}]}
    resources, _ = careful()
    changed = broken(
        resources, "backup/backup-service", lambda v: v["service_environment"].update(BACKUP_PLACE="/var/backups/x")
    )
    bare = tuple(each for each in changed if each.path not in ("platform/firewall", "drift/evidently"))
    for pack in started(python, 1, **platform):
        found = {(policy, mandatory) for policy, _, mandatory in pack.findings(bare)}
        # The register is told no use case here; a drift watch is of tier 5, and no profile of these asks for it.
        assert found == {("K8", True), ("M9-advisory", False), ("M13-advisory", False), ("set-aside", False)}


LOOK = f"""
import os, runpy, pulumi, pulumi_policy
pulumi_policy.PolicyPack = lambda **_: None  # it would serve, and never return
left = runpy.run_path("__main__.py")
assert left["SETTING"].tier == 3
assert pulumi.runtime.get_config_env() == {{}}
assert "{PASSWORD}" not in repr(left) + repr(dict(os.environ))
"""


def test_no_secret_of_the_configuration_is_kept(python: Path) -> None:
    """Pulumi's own part of the process would read all of it again for each resource."""
    platform = json.dumps({"network": {"proxy": f"http://me:{PASSWORD}@proxy"}})
    config = json.dumps({"terrace:tier": "3", "terrace:target": "host", "terrace:platform": platform})
    variables = {"PULUMI_CONFIG": config, "PULUMI_STACK": "local", "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([python, "-c", LOOK], cwd=PACK, env=variables, check=True)
