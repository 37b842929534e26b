"""Resources that vanish with another one, and one that is to be kept."""

from recorder import Options, Thing, stage

if stage < 3:
    whole = Thing("whole", fixed=stage, label=f"whole-{stage}")
    Thing("part", Options(deleted_with=whole), value=1, label=f"part-{stage}")
Thing("kept", Options(retain_on_delete=True), value=1)
if stage == 1:
    Thing("kept-too", Options(retain_on_delete=True), value=1)
