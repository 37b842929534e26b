"""What only the Pulumi CLI can do is refused by name, before anything is touched."""

from __future__ import annotations

import pytest

from terrace.engine import UnsupportedError
from tests.engine.engine_world import World

PROGRAMS = {
    "the function aws:index:getRegion": "pulumi.runtime.invoke('aws:index:getRegion', {})",
    "the function pulumi:pulumi:nothing": "pulumi.runtime.invoke('pulumi:pulumi:nothing', {})",
    "the method aws:index:Cluster/getConfig": "pulumi.runtime.call('aws:index:Cluster/getConfig', {}, Thing('b'))",
    "remote components": "pulumi.ComponentResource('aws:index:Vpc', 'vpc', {}, None, True)",
    "the program uses ReplaceWith option": "Thing('b', Options(replace_with=[first]))",
    "the option `replacement_trigger`": "Thing('b', Options(replacement_trigger='x'))",
    "the program uses resource hooks": (
        "hook = pulumi.ResourceHook('note', lambda args: None)\n"
        "Thing('b', Options(hooks=pulumi.ResourceHookBinding(before_create=[hook])))"
    ),
    "the program uses invoke transforms": "pulumi.runtime.register_invoke_transform(lambda args: None)",
    "the Pulumi CLI >=99": "pulumi.require_pulumi_version('>=99')",
    "assets and archives": "Thing('b', file=pulumi.StringAsset('text'))",
    "resources of the package pulumi": "pulumi.CustomResource('pulumi:index:Stash', 'stash', {'input': 1})",
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_it_is_refused_by_name(world: World, what: str) -> None:
    body = "first = Thing('first', value=1)\n" + PROGRAMS[what]
    world.write(body)
    try:
        result = world.run("up", 1)
    except UnsupportedError as error:
        message = str(error)
    else:
        assert not result.ok
        message = " ".join(error.message for error in result.errors)
    assert what in message
    assert "use --engine pulumi" in message or "update the SDK" in message
    assert world.calls() == []
    assert not world.checkpoint.exists()


def test_a_transform_that_fails_is_told_with_the_programs_line(world: World) -> None:
    world.write(
        """
        def broken(args):
            raise ValueError("no such shape")

        Thing("shaped", Options(transforms=[broken]), value=1)
        """
    )
    result = world.run("up", 1)
    assert not result.ok
    assert "no such shape" in result.errors[0].message
    assert "__main__.py" in result.errors[0].message
    assert world.things() == []
