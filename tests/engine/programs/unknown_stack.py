"""A reference to a stack that isn't there."""

import pulumi

pulumi.export("made", pulumi.StackReference("organization/parity/nowhere").get_output("made"))
