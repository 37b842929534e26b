"""Outputs of another stack of the same backend, secrets among them."""

import pulumi
from recorder import Thing, stage

if pulumi.get_stack() == "other":
    thing = Thing("there", value=stage, label="there")
    pulumi.export("made", thing.made)
    pulumi.export("password", pulumi.Config().require_secret("password"))
    pulumi.export("list", [stage, {"x": None}])
else:
    other = pulumi.StackReference("organization/parity/other")
    same = pulumi.StackReference("again", stack_name="other")
    Thing("user", value=other.get_output("made"), password=other.require_output("password"))
    pulumi.export("made", other.require_output("made"))
    pulumi.export("password", same.get_output("password"))
    pulumi.export("list", other.get_output("list"))
    pulumi.export("absent", other.get_output("absent"))
