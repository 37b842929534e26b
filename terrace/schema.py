"""The JSON Schema of a stack file, for editors."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from terrace.catalog import Catalog
from terrace.spec import PlatformSpec
from terrace.tiers import TierTable

REFERENCE = "#/$defs/{model}"


class _AsTheCliWrites(GenerateJsonSchema):
    """Accepts numbers and booleans as text too: the Pulumi CLI rewrites a stack file's scalars as strings."""

    def int_schema(self, schema: Any) -> dict[str, Any]:
        return {"anyOf": [super().int_schema(schema), {"type": "string", "pattern": r"^-?\d+$"}]}

    def bool_schema(self, schema: Any) -> dict[str, Any]:
        return {"anyOf": [super().bool_schema(schema), {"type": "string", "enum": ["true", "false"]}]}


def stack_schema(catalog: Catalog | None = None, table: TierTable | None = None) -> dict[str, Any]:
    """Return the schema of `stacks/Pulumi.<env>.yaml`, with the flavors that the catalog finds."""
    catalog, table = catalog or Catalog(), table or TierTable.load()
    flavors = [
        (slot, flavor, catalog.spec_type(slot, flavor)) for slot, names in catalog.flavors.items() for flavor in names
    ]
    models = [(model, "validation") for model in [PlatformSpec, *(spec for _, _, spec in flavors)]]
    references, definitions = models_json_schema(
        models,  # type: ignore[arg-type]  # the mode is a literal, which the list's element type widens
        ref_template=REFERENCE,
        schema_generator=_AsTheCliWrites,
    )
    defs = definitions["$defs"]
    platform = defs.pop("PlatformSpec")
    own = {key: platform["properties"].pop(key) for key in ("tier", "target")}
    for slot, names in catalog.flavors.items():
        choices = [references[(spec, "validation")] for name, _, spec in flavors if name == slot]
        row = table.slots.get(slot)
        since = f" Comes with tier {row.from_tier} of {row.practice}." if row else ""
        platform["properties"][slot] = {"description": f"Flavors: {', '.join(names)}.{since}", "anyOf": choices}
    platform.pop("required", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Terrace stack file",
        "type": "object",
        "required": ["config"],
        "properties": {"config": _config(own, platform)},
        "$defs": defs,
    }


def _config(own: dict[str, Any], platform: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the mapping `config:`; keys of other Pulumi projects are left alone."""
    return {
        "type": "object",
        "required": ["terrace:tier", "terrace:target"],
        "properties": {**{f"terrace:{key}": value for key, value in own.items()}, "terrace:platform": platform},
        "propertyNames": {"pattern": r"^(terrace:(tier|target|platform)|(?!terrace:).*)$"},
    }
