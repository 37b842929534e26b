"""The Pulumi program: one environment's platform, as its stack file describes it."""

from pathlib import Path

import pulumi

from terrace import config, platform
from terrace.provenance import source_of
from terrace.resolve import resolve

root = Path(__file__).parents[1]
blueprint = resolve(config.load(root, pulumi.get_stack()))
platform.build(blueprint, source=source_of(root, pulumi.get_stack()))
