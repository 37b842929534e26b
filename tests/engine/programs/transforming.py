"""Transforms of resources, of components, and of the stack, which change properties and options."""

from __future__ import annotations

import pulumi
from pulumi import ResourceTransformArgs, ResourceTransformResult
from recorder import Group, Options, Thing, stage


def _note(where: str) -> pulumi.ResourceTransform:
    def transform(args: ResourceTransformArgs) -> ResourceTransformResult | None:
        if not args.custom:
            return None
        seen = args.props.get("seen", [])
        return ResourceTransformResult({**args.props, "seen": [*seen, where]}, args.opts)

    return transform


async def _protect(args: ResourceTransformArgs) -> ResourceTransformResult | None:
    if args.name != "kept" or stage > 1:
        return None
    return ResourceTransformResult(args.props, pulumi.ResourceOptions.merge(args.opts, Options(protect=True)))


def _hide(args: ResourceTransformArgs) -> ResourceTransformResult:
    props = {**args.props, "value": pulumi.Output.secret(args.props["value"])}
    opts = pulumi.ResourceOptions.merge(args.opts, Options(ignore_changes=["ignored"], depends_on=[first]))
    return ResourceTransformResult(props, opts)


pulumi.runtime.register_resource_transform(_note("stack"))
pulumi.runtime.register_resource_transform(_protect)
first = Thing("first", value=1)
Thing("kept", value=1)
group = Group("group", Options(transforms=[_note("group")]))
child = Thing("child", Options(parent=group, transforms=[_note("own")]), value=first.made, ignored=stage)
Thing("hidden", Options(transforms=[_hide]), value=first.made, ignored=stage, other=child.made)
Thing("secret", Options(transforms=[_note("own")]), value=pulumi.Output.secret("s3cret"))
