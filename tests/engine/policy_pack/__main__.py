"""A policy pack for the Pulumi CLI: one rule warns, one refuses, one sees the whole stack."""

from collections.abc import Callable

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

Report = Callable[..., None]


def not_five(args: ResourceValidationArgs, report: Report) -> None:
    if args.props.get("port") == 5432:
        report("listens on 5432")


def not_two(args: ResourceValidationArgs, report: Report) -> None:
    if args.props.get("value") == 2:
        report("has the value 2")


def at_most(args: StackValidationArgs, report: Report) -> None:
    report(", ".join(sorted(resource.name for resource in args.resources if "Resource" in resource.resource_type)))


PolicyPack(
    name="parity",
    policies=[
        ResourceValidationPolicy("warns", "Warns of 5432.", not_five, EnforcementLevel.ADVISORY),
        ResourceValidationPolicy("refuses", "Refuses 2.", not_two, EnforcementLevel.MANDATORY),
        StackValidationPolicy("counts", "Names what is there.", at_most, EnforcementLevel.ADVISORY),
    ],
)
