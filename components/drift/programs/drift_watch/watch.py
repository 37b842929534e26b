"""One look at every version in production."""

from __future__ import annotations

import logging

import pandas as pd

from . import pages
from .analysis import compare
from .settings import Settings
from .sources import Sources, Version

LOG = logging.getLogger("drift_watch")


def look(settings: Settings) -> None:
    """Compare each version in production with its reference, and bring metrics and reports up to date."""
    if not settings.keeps:
        LOG.warning("serving keeps no predictions (serving.predictions_days is 0), so there is nothing to look at")
        return
    sources = Sources(settings)
    versions = sources.in_production()
    seen = [(version, sources.kept(version), sources.reference(version)) for version in versions]
    for gauge in pages.BY_MODEL:
        gauge.clear()
    for version, kept, reference in seen:
        _tell(settings, version, kept, reference)
    pages.LAST_LOOK.set_to_current_time()


def _tell(settings: Settings, version: Version, kept: pd.DataFrame, reference: pd.DataFrame | None) -> None:
    names = (version.model, version.version)
    pages.ROWS.labels(*names).set(len(kept))
    pages.HAS_REFERENCE.labels(*names).set(reference is not None)
    if reference is None or len(kept) < settings.minimum_rows:
        return
    report = pages.report_file(settings.reports, *names)
    finding = compare(reference, kept, settings.column_distance, report)
    pages.SHARE.labels(*names).set(finding.share)
    for column, distance in finding.distances.items():
        pages.DISTANCE.labels(*names, column).set(distance)
        pages.DRIFTED.labels(*names, column).set(finding.drifted(column))
    for column, share in finding.missing.items():
        pages.MISSING.labels(*names, column).set(share)
        pages.REFERENCE_MISSING.labels(*names, column).set(float(reference[column].isna().mean()))
    LOG.info("%s version %s: %d rows, %.0f %% of the inputs drifted", *names, len(kept), 100 * finding.share)
