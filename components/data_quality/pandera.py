"""Pandera as the validation gate inside pipelines.

Provides the gate: the pipeline service refuses a pipeline without a validation step, and a step that fails ends
the run before anything is trained. The checks themselves (schema and statistics) are the project's, written with
Pandera in its own environment; ``examples/flights`` shows them. Leaves out a server, which Pandera does not have.

Upstream: https://pandera.readthedocs.io/, written for Pandera 0.35.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from components.base import Component, FlavorSpec, Inputs
from components.data_quality import DataQualityOutputs


class PanderaSpec(FlavorSpec):
    """Options of the gate."""

    flavor: Literal["pandera"] = "pandera"
    required_step: str = Field(
        "validate",
        pattern=r"^[a-z][a-z0-9_-]*$",
        description="The step that every pipeline must have.",
    )


class Pandera(Component[PanderaSpec, DataQualityOutputs]):
    """The validation gate."""

    token: ClassVar[str] = "terrace:data_quality:Pandera"
    spec_type: ClassVar[type[FlavorSpec]] = PanderaSpec
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")

    def build(self, spec: PanderaSpec, inputs: Inputs) -> DataQualityOutputs:
        """Name the required step; the pipelines slot enforces it."""
        return DataQualityOutputs((spec.required_step,))
