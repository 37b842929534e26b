"""A program that raises half-way."""

import pulumi
from recorder import Thing, stage

pulumi.export("early", 1)
Thing("early", value=1)
if stage == 1:
    raise ValueError("the program is broken")
Thing("late", value=1)
