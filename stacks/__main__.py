"""The Pulumi program: one environment's platform, as its stack file describes it."""

from pathlib import Path

import pulumi

from terrace import config, platform, resolve

root = Path(__file__).parents[1]
blueprint = resolve.resolve(config.load(root, pulumi.get_stack()))
platform.build(blueprint)
