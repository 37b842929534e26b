"""The service that takes bundles and answers for runs, whichever engine carries them out: its accounts and settings."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi
from pydantic import Field

from components.base import Account, FlavorSpec, Inputs, PersonAccount, salted_hash
from components.data_quality import DataQualityOutputs
from components.gateway import GatewayOutputs
from components.programs import program_files
from terrace.targets import Target
from terrace.workload import Act, File, Route

PATH = "/pipelines/"
ACCOUNT = "pipelines"
PROGRAMS = "programs"  # the package that holds what is shipped, so that one program may import another
ACTS = (
    Act(rf"[A-Z]+ {PATH}health", ""),
    Act(rf"POST {PATH}api/pipelines/([^/]+)/runs", "run_pipeline"),
    Act(rf"POST {PATH}api/runs/([^/]+)/cancel", "cancel_run"),
    Act(rf"PUT {PATH}api/pipelines/([^/]+)", "send_pipeline"),
    Act(rf"DELETE {PATH}api/pipelines/([^/]+)", "remove_pipeline"),
)
SHARED = ("contract", "intake")


class ServiceSpec(FlavorSpec):
    """The options that the service has under every engine."""

    port: int = Field(15090, ge=1024, le=65535, description="TCP port on loopback.")
    volume_gb: int = Field(20, ge=1, description="Size (GiB) of its volume, on Kubernetes.")
    memory_mb: int = Field(
        4096, ge=512, description="Most memory (MiB) of one step's process; of all that run at once in timer's pod."
    )
    keep_runs: int = Field(20, ge=1, le=10000, description="Runs of each pipeline whose files are kept.")
    bundle_mb: int = Field(256, ge=1, le=4096, description="Largest bundle (MiB) that can be sent.")


def shipped(engine: str) -> tuple[File, ...]:
    """Return the service's program with ``engine``, a package of ``components/pipelines/programs``."""
    files = [file for program in (*SHARED, engine) for file in program_files("pipelines", program)]
    package = File(f"{PROGRAMS}/__init__.py", '"""The platform\'s programs."""\n')
    return (package, *(File(f"{PROGRAMS}/{file.path}", file.content) for file in files))


def connections(target: Target, inputs: Inputs) -> dict[str, pulumi.Input[str]]:
    """Return the variables that steps get: what connects a project to the platform, from within it."""
    project: dict[str, pulumi.Input[str]] = dict(target.facts)
    for outputs in inputs.all():
        project |= outputs.connection()
    return inputs.of("gateway", GatewayOutputs).from_within(project)


def environment(
    spec: ServiceSpec, account: Account, project: Mapping[str, object], inputs: Inputs
) -> dict[str, pulumi.Input[str]]:
    """Return the service's plain variables; ``project`` are those of steps."""
    gate = inputs.optional("data_quality", DataQualityOutputs)
    return {
        "PYTHONPATH": "$(CONFIG)",
        "PIPELINES_ADDRESS": "$(LISTEN)",
        "PIPELINES_PORT": str(spec.port),
        "PIPELINES_DATA": "$(DATA)",
        "PIPELINES_USER": account.user,
        "PIPELINES_PEOPLE": "$(CONFIG)/people.json",
        "PIPELINES_KEEP_RUNS": str(spec.keep_runs),
        "PIPELINES_BUNDLE_MB": str(spec.bundle_mb),
        "PIPELINES_UV": "$(BIN)/uv",
        "UV_PYTHON": "$(PYTHON)",
        "PIPELINES_REQUIRED_STEPS": ",".join(gate.required_steps if gate else ()),
        "PIPELINES_PROJECT_VARIABLES": ",".join(sorted(project)),
    }


def route(spec: ServiceSpec) -> Route:
    """Return the way to the service, which asks for accounts itself."""
    return Route(
        PATH,
        "http",
        auth="own",
        slot="pipelines",
        body_mb=spec.bundle_mb,
        hidden=("metrics",),
        reads=True,
        acts=ACTS,
    )


def people_accounts(people: tuple[PersonAccount, ...]) -> File:
    """Return the file of people's accounts, which the service reads anew when it changes."""
    return File("people.json", people_file(people), live=True)


def people_file(people: tuple[PersonAccount, ...]) -> pulumi.Output[str]:
    """Return the file of people's accounts, a secret: JSON ``[{name, salt, digest, right}]``."""
    here = [person for person in people if person.member.may("pipelines", "read")]

    def accounts(passwords: list[str]) -> str:
        return json.dumps(
            [
                {
                    "name": person.user,
                    "right": person.member.right("pipelines"),
                    **salted_hash("pipelines", person.user, password),
                }
                for person, password in zip(here, passwords, strict=True)
            ]
        )

    return pulumi.Output.secret(pulumi.Output.all(*(person.password for person in here)).apply(accounts))
