"""One look at every version in production, and at the labels that have come."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import pandas as pd

from . import pages
from .analysis import compare, report_quality
from .quality import Figures, Judged, Labelled, Reference, Verdict, decisive, judge, refer
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
    labelled = {version.model: sources.labelled(version.model) for version in versions}
    evaluated = {
        model: {version: sources.evaluation(model, version) for version in of_model}
        for model, of_model in labelled.items()
    }
    counted = sources.counted()
    for gauge in pages.BY_MODEL:
        gauge.clear()
    for model, known, lost in counted:
        pages.LABELS.labels(model).set(known)
        pages.LABELS_UNMATCHED.labels(model).set(lost)
    judged = [
        _tell_quality(settings, version, labelled[version.model], evaluated[version.model]) for version in versions
    ]
    for version, kept, reference in seen:
        _tell(settings, version, kept, reference)
    for version, found in zip(versions, judged, strict=True):
        _report(settings, version.model, found, evaluated[version.model])
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


def _tell_quality(
    settings: Settings,
    production: Version,
    labelled: Mapping[str, Sequence[Labelled]],
    evaluated: Mapping[str, Sequence[Labelled]],
) -> dict[str, Judged]:
    """Tell of each version with labels, and let an alarm come of one alone; return what was found of each."""
    judged: dict[str, Judged] = {}
    verdicts: dict[str, Verdict] = {}
    for version, rows in labelled.items():
        reference = refer(evaluated[version], settings.limits)
        found = judge(rows, reference, settings.limits)
        if found is None:
            continue
        judged[version] = found
        _tell_figures((production.model, version), found, reference)
        if found.verdict:
            verdicts[version] = found.verdict
    decides = decisive(verdicts, production.version)
    if decides:
        _tell_verdict((production.model, decides), verdicts[decides])
    return judged


def _report(
    settings: Settings, model: str, judged: Mapping[str, Judged], evaluated: Mapping[str, Sequence[Labelled]]
) -> None:
    """Write the reports last: they take seconds, in which metrics would be missing and alerts end."""
    for version, found in judged.items():
        if found.latest.rows < settings.limits.rows or found.latest.score is None:
            continue
        reference = refer(evaluated[version], settings.limits)
        comparable = reference is not None and reference.whole.score is not None
        file = pages.report_file(settings.reports, model, f"{version}-quality")
        report_quality(evaluated[version] if comparable else (), found.rows, found.kind, file)


def _tell_figures(names: tuple[str, str], found: Judged, reference: Reference | None) -> None:
    pages.UNFIT.labels(*names).set(found.unfit)
    _set(found.latest, *names, pages.LATEST)
    for window in sorted(found.windows)[-pages.WINDOWS :]:
        _set(found.windows[window], *names, window)
    if reference:
        if reference.lowest.score is not None:
            pages.REFERENCE_SCORE.labels(*names).set(reference.lowest.score)
        pages.REFERENCE_OUTCOME.labels(*names).set(reference.whole.outcome)


def _set(figures: Figures, model: str, version: str, window: str) -> None:
    names = (model, version, window)
    pages.LABELLED.labels(*names).set(figures.rows)
    if figures.score is not None:
        pages.SCORE.labels(*names).set(figures.score)
        pages.SCORE_ERROR.labels(*names).set(figures.error)
    for measure, value in figures.losses.items():
        pages.LOSS.labels(*names, measure).set(value)
    pages.OUTCOME.labels(*names).set(figures.outcome)
    pages.EXPECTED.labels(*names).set(figures.expected)
    pages.DELAY.labels(*names).set(figures.delay)


def _tell_verdict(names: tuple[str, str], verdict: Verdict) -> None:
    pages.LOW.labels(*names).set(verdict.low)
    pages.SEASON.labels(*names).set(verdict.season)
    told = (verdict.drop, verdict.change, verdict.gap)
    LOG.info("%s version %s: ranking %+.3f below its reference, outcomes %+.3f, predicted %+.3f", *names, *told)
