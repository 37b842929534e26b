"""Keeps references between resources whole when resources were renamed or vanished."""

from __future__ import annotations

import dataclasses

from terrace.engine.state import ROOT_TYPE, Resource, make_urn, name_of, qualified_type, type_of


def resolve_aliases(resources: list[Resource]) -> list[Resource]:
    """Rewrite references to old names into references to new ones, and forget the old names."""
    renamed = _renames(resources)
    if not renamed:
        return resources

    def new(urn: str) -> str:
        return renamed.get(urn, urn)

    return [
        dataclasses.replace(
            resource,
            urn=new(resource.urn),
            parent=new(resource.parent),
            provider=_provider(resource, new(resource.provider_urn)),
            dependencies=[new(urn) for urn in resource.dependencies],
            property_dependencies={
                key: [new(urn) for urn in urns] for key, urns in resource.property_dependencies.items()
            },
            deleted_with=new(resource.deleted_with),
            aliases=[],
        )
        for resource in resources
    ]


def _renames(resources: list[Resource]) -> dict[str, str]:
    renamed: dict[str, str] = {}
    for resource in resources:
        renamed.update(dict.fromkeys(resource.aliases, resource.urn))
        parent = renamed.get(resource.parent)
        if parent and qualified_type(parent) != ROOT_TYPE:
            # A child that this operation didn't reach moves with its parent.
            _, stack, project, _ = resource.urn.replace("urn:pulumi:", "::", 1).split("::", 3)
            renamed[resource.urn] = make_urn(stack, project, parent, type_of(resource.urn), name_of(resource.urn))
    return renamed


def _provider(resource: Resource, urn: str) -> str:
    return f"{urn}::{resource.provider.rpartition('::')[2]}" if resource.provider else ""


def drop_missing_references(resources: list[Resource]) -> list[Resource]:
    """Drop references to resources that vanished; their children have no parent then, as with the Pulumi CLI."""
    seen: set[str] = set()
    result = []
    for resource in resources:
        changed = dataclasses.replace(
            resource,
            parent=resource.parent if resource.parent in seen else "",
            dependencies=[urn for urn in resource.dependencies if urn in seen],
            # As with the Pulumi CLI, a property that depends on nothing any more isn't listed.
            property_dependencies={
                key: left
                for key, urns in resource.property_dependencies.items()
                if (left := [urn for urn in urns if urn in seen])
            },
            deleted_with=resource.deleted_with if resource.deleted_with in seen else "",
        )
        seen.add(resource.urn)
        result.append(changed)
    return result


def latest_of_each(resources: list[Resource]) -> list[Resource]:
    """Drop all but the last of several that stand for the same: what was left as it was, and then reached after all."""
    last = {resource.urn: resource for resource in resources if not resource.delete}
    if len(last) == sum(1 for resource in resources if not resource.delete):
        return resources
    return [resource for resource in resources if resource.delete or last[resource.urn] is resource]


def in_order_of_needs(resources: list[Resource]) -> list[Resource]:
    """Have everything come after what it needs. What does already stays where it is.

    An operation on some targets, or one that failed, leaves resources as they were beside others whose needs changed.
    """
    waiting: dict[str, list[Resource]] = {}
    for resource in resources:
        waiting.setdefault(resource.urn, []).append(resource)
    result: list[Resource] = []
    placed: set[Resource] = set()
    there: set[str] = set()
    for first in resources:
        stack = [first]
        while stack:
            resource = stack[-1]
            missing = [urn for urn in resource.needs() if urn not in there and urn in waiting]
            nearest = [waiting[urn][0] for urn in missing if waiting[urn][0] not in stack]
            if nearest and resource not in placed:
                stack.append(nearest[0])
                continue
            stack.pop()
            if resource not in placed:
                placed.add(resource)
                there.add(resource.urn)
                result.append(resource)
    return result
