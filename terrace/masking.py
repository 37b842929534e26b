"""Which inputs of which model are not to be kept in plain, as the classes of data in the use cases say."""

from __future__ import annotations

from collections.abc import Mapping

from terrace.spec import DataClass, UseCase

EVERY_INPUT = "*"
STRICTNESS: tuple[DataClass, ...] = ("public", "internal", "confidential", "pii")
MASKED: tuple[DataClass, ...] = ("confidential", "pii")


def input_classes(use_cases: Mapping[str, UseCase]) -> dict[str, dict[str, DataClass]]:
    """Return the class of each named input by model, where something of the model is to be masked.

    A source that names no columns stands for every input that no other source names: ``*``. Where several sources
    name an input, the strictest class holds.
    """
    found: dict[str, dict[str, DataClass]] = {}
    for name, use_case in use_cases.items():
        for model in use_case.models or (name,):
            classes = found.setdefault(model, {})
            for source in use_case.sources:
                for column in source.columns or (EVERY_INPUT,):
                    classes[column] = max(classes.get(column, "public"), source.data_class, key=STRICTNESS.index)
    return {model: classes for model, classes in found.items() if any(each in MASKED for each in classes.values())}
