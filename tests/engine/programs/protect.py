"""Protected resources can't be deleted or replaced until they are unprotected."""

from recorder import Options, Thing, stage

if stage != 2:
    Thing("kept", Options(protect=stage not in (4, 5)), value=1)
Thing("replaced", Options(protect=True), fixed=1 if stage != 3 else 2)
