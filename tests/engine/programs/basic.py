"""Create, nothing to do, update, replace, delete, and a dependent that follows."""

import pulumi
from recorder import Options, Thing, stage

a = Thing("a", value=1 if stage < 2 else 2, fixed=1 if stage < 3 else 2, label="a" if stage < 3 else "a-second")
b = Thing("b", value=a.made, port=5432, ratio=0.5, on=True, list=[1, {"none": None, "x": 2}], none=None)
if stage < 4:
    Thing("c", Options(depends_on=[b]), value="c")
pulumi.export("a", a.made)
pulumi.export("b", b.id)
pulumi.export("all", {"n": 1, "nested": [b.made, True, None]})
if stage < 4:
    pulumi.export("sometimes", "here")
