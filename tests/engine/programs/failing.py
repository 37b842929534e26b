"""A create that fails in the middle, an update that fails, and what they leave."""

import pulumi
from recorder import Options, Thing, stage

first = Thing("first", value=1)
second = Thing("second", value=first.made, fail=["create"] if stage == 1 else ["update"] if stage == 3 else [])
third = Thing("third", Options(depends_on=[second]), value=stage)
pulumi.export("first", first.made)
pulumi.export("third", third.made)
pulumi.export("always", stage)
