"""The service that takes bundles and answers for runs, whichever engine carries them out: its accounts and settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pulumi
from pydantic import Field

from components.base import Account, FlavorSpec, Inputs, PersonAccount
from components.data_quality import DataQualityOutputs
from terrace.targets import Target
from terrace.workload import File

PATH = "/pipelines/"
ACCOUNT = "pipelines"


class ServiceSpec(FlavorSpec):
    """The options that the service has under every engine."""

    port: int = Field(15090, ge=1024, le=65535, description="TCP port on loopback.")
    memory_mb: int = Field(4096, ge=512, description="Most memory (MiB) of one step's process.")
    keep_runs: int = Field(20, ge=1, le=10000, description="Runs of each pipeline whose files are kept.")
    bundle_mb: int = Field(256, ge=1, le=4096, description="Largest bundle (MiB) that can be sent.")


def connections(target: Target, inputs: Inputs) -> dict[str, pulumi.Input[str]]:
    """Return the variables that steps get: what connects a project to the platform."""
    project: dict[str, pulumi.Input[str]] = dict(target.facts)
    for outputs in inputs.all():
        project |= outputs.connection()
    return project


def environment(
    spec: ServiceSpec, account: Account, project: Mapping[str, object], inputs: Inputs
) -> dict[str, pulumi.Input[str]]:
    """Return the service's plain variables; ``project`` are those of steps."""
    gate = inputs.optional("data_quality", DataQualityOutputs)
    return {
        "PYTHONPATH": "$(CONFIG)",
        "TIMER_ADDRESS": "$(LISTEN)",
        "TIMER_PORT": str(spec.port),
        "TIMER_DATA": "$(DATA)",
        "TIMER_USER": account.user,
        "TIMER_PEOPLE": "$(CONFIG)/people.json",
        "TIMER_KEEP_RUNS": str(spec.keep_runs),
        "TIMER_BUNDLE_MB": str(spec.bundle_mb),
        "TIMER_UV": "$(BIN)/uv",
        "TIMER_REQUIRED_STEPS": ",".join(gate.required_steps if gate else ()),
        "TIMER_PROJECT_VARIABLES": ",".join(sorted(project)),
    }


def people_accounts(people: tuple[PersonAccount, ...]) -> File:
    """Return the file of people's accounts, which the service reads anew when it changes."""
    return File("people.json", people_file(people), live=True)


def people_file(people: tuple[PersonAccount, ...]) -> pulumi.Output[str]:
    """Return the file of people's accounts, a secret: JSON ``[{name, salt, digest, right}]``."""
    here = [person for person in people if person.member.may("pipelines", "read")]

    def accounts(passwords: list[str]) -> str:
        return json.dumps(
            [
                {"name": person.user, "right": person.member.right("pipelines"), **digest_of(person.user, password)}
                for person, password in zip(here, passwords, strict=True)
            ]
        )

    return pulumi.Output.secret(pulumi.Output.all(*(person.password for person in here)).apply(accounts))


def digest_of(user: str, password: str) -> dict[str, str]:
    """Return a salted hash of a password, the same for the same password."""
    salt = hashlib.sha256(f"pipelines:{user}:{password}".encode()).hexdigest()[:16]
    return {"salt": salt, "digest": hashlib.sha256(f"{salt}:{password}".encode()).hexdigest()}
