"""Operations on some of the resources only."""

import pulumi
from recorder import Group, Options, Thing, stage

a = Thing("a", value=stage)
b = Thing("b", value=a.made)
group = Group("group")
child = Thing("child", Options(parent=group), value=stage)
group.register_outputs({"stage": stage, "child": child.made})
Thing("uses-group", Options(depends_on=[group]), value=stage)
if stage != 3:
    gone = Thing("gone", value=stage)
    Thing("needs-gone", value=gone.made)
Thing("apart", value=stage)
if stage > 1:
    new = Thing("new", value=stage)
    Thing("needs-new", value=new.made)
    pulumi.export("new", new.made)
pulumi.export("a", a.made)
pulumi.export("child", child.made)
