"""Components: children, outputs, dependencies on a whole component, options that children inherit."""

import pulumi
from recorder import Group, Options, Thing, stage

outer = Group("outer", Options(protect=stage < 2))
inner = Group("inner", Options(parent=outer))
x = Thing("x", Options(parent=inner), value=1)
y = Thing("y", Options(parent=outer), value=x.made)
inner.register_outputs({"x": x.made, "stage": stage})
outer.register_outputs({})
Thing("after", Options(depends_on=[outer]), value=2)
pulumi.export("x", x.made)
pulumi.export("component", inner)
