"""`terrace schema`: the JSON Schema of a stack file."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of a stack file.

    Example: terrace schema > docs/reference/stack.schema.json
    """
    from terrace import schema as library
    from terrace.cli import results

    results.print_json(library.stack_schema())
