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
