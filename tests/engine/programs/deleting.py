"""Resources that are forgotten instead of deleted, and resources that go with another one."""

from recorder import Options, Thing, stage

if stage == 1:
    host = Thing("host", value=1)
    Thing("on-host", Options(deleted_with=host), value=1)
    Thing("retained", Options(retain_on_delete=True), value=1)
Thing("replaced", Options(retain_on_delete=True), fixed=stage, label=f"replaced-{stage}")
