"""Delete before replace: dependents whose inputs can't change in place go first, others are updated."""

from recorder import Options, Thing, stage

root = Thing("root", Options(delete_before_replace=True), fixed=stage, value=stage)
falls = Thing("falls", fixed_input=root.made)
Thing("falls-too", fixed_other=falls.made)
Thing("stays", value=root.made)
Thing("waits", Options(depends_on=[root]), value=1)
Thing("own-wish", fixed=stage, delete_first=True)
