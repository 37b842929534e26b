"""The model's card: made from use case, data, evaluation, and lineage; refused when a part is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from flights import charts
from flights.errors import GateError
from flights.runs import Run
from flights.settings import Configuration
from flights.usecase import UseCase

Card = dict[str, dict[str, Any]]

# Section → its parts. Every one of them must say something, or the version may not be served.
PARTS: dict[str, tuple[str, ...]] = {
    "purpose": ("goal", "intended_use", "risk_class"),
    "responsibility": ("owner", "kpi", "baseline"),
    "data": ("sources", "hash", "trained_on", "judged_on", "left_out"),
    "quality": ("auc", "baseline_auc", "brier", "baseline_brier", "late_share"),
    "subgroups": ("month", "carrier", "origin"),
    "importance": ("features",),
    "limits": ("known",),
    "lineage": (
        "model",
        "version",
        "git_commit",
        "data_hash",
        "lock_hash",
        "serving_lock_hash",
        "configuration_hash",
        "run_id",
        "search_run_id",
        "pipeline_run_id",
        "evaluation_hash",
    ),
}
LIMITS = (
    "One year of flights from three airports of one city; other places and years were never judged.",
    "Late summers and winters differ from the spring that it learned from; see the months.",
    "Cancelled and diverted flights have no arrival: it says nothing about whether a flight goes at all.",
    "Small groups are left out of the subgroups, so nothing is known of the quality there.",
)
NOTHING = ("", "unknown", None)


def make_card(pipeline: Run, configuration: Configuration, use_case: UseCase, lineage: Mapping[str, str]) -> Card:
    """Return the card of a run's model.

    Args:
        pipeline: The run, with the files that its steps left.
        configuration: The project's.
        use_case: What the model is for.
        lineage: The version's tags, ``lineage.<name>``.
    """
    evaluation, rows = pipeline.read("evaluation"), pipeline.read("train")["rows"]
    split, model, baseline = configuration.split, evaluation["model"], evaluation["baseline"]
    come_from = {name.removeprefix("lineage."): value for name, value in lineage.items()}
    return {
        "purpose": {part: getattr(use_case, part) for part in PARTS["purpose"]},
        "responsibility": {part: getattr(use_case, part) for part in PARTS["responsibility"]},
        "data": {
            "sources": [dict(source) for source in use_case.sources],
            "hash": come_from.get("data_hash", ""),
            "trained_on": f"{rows:,} flights from {split['train_from']} until before {split['test_from']}",
            "judged_on": f"{evaluation['rows']:,} flights from {split['test_from']} on, which nothing else saw",
            "left_out": f"{evaluation['unlabelled']:,} flights without a recorded arrival (cancelled or diverted)",
        },
        "quality": {
            "auc": model["auc"],
            "baseline_auc": baseline["auc"],
            "brier": model["brier"],
            "baseline_brier": baseline["brier"],
            "late_share": evaluation["late_share"],
        },
        "subgroups": evaluation["subgroups"],
        "importance": {"features": evaluation["importance"]},
        "limits": {"known": list(LIMITS)},
        "lineage": {"model": configuration.model_name, **{n: come_from.get(n, "") for n in PARTS["lineage"][1:]}},
    }


def missing(card: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return ``section.part`` of everything that a card should say and doesn't."""
    return [
        f"{section}.{part}"
        for section, parts in PARTS.items()
        for part in parts
        if _says_nothing(card.get(section, {}).get(part))
    ]


def _says_nothing(value: Any) -> bool:
    return value in NOTHING or (isinstance(value, (list, dict)) and not value)


def refuse_incomplete(card: Mapping[str, Mapping[str, Any]]) -> None:
    """Let only a complete card pass.

    Raises:
        GateError: Naming every part that is missing.
    """
    absent = missing(card)
    if absent:
        raise GateError(
            "the model's card is not complete",
            where="card",
            why=f"missing: {', '.join(absent)}",
            fix="state the use case in the platform's stack file (use_cases), and run the pipeline from a commit",
        )


def as_markdown(card: Card) -> str:
    """Return the card for people who read text."""
    lines = [f"# {card['lineage']['model']} version {card['lineage']['version']}"]
    for section in PARTS:
        lines += ["", f"## {section.capitalize()}", ""]
        for table in _tables(section, card[section]):
            lines += [_row(row) for row in (table[0], ["---"] * len(table[0]), *table[1:])] + [""]
        lines += [f"- {line}" for line in card[section].get("known", ())]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}table{border-collapse:collapse;margin:.5rem 0}th,td{text-align:left;padding:.2rem 1rem .2rem 0;"
    "border-bottom:1px solid #8888;overflow-wrap:anywhere}svg{max-width:100%;height:auto}"
)


def as_html(card: Card) -> str:
    """Return the card as one page that needs nothing else."""
    title = f"{card['lineage']['model']} version {card['lineage']['version']}"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
    ]
    for section in PARTS:
        parts.append(f"<h2>{section.capitalize()}</h2>")
        if section == "importance":
            parts.append(charts.importance(card[section]["features"]))
        parts += [_html_table(table) for table in _tables(section, card[section])]
        limits = "".join(f"<li>{escape(line)}</li>" for line in card[section].get("known", ()))
        parts.append(f"<ul>{limits}</ul>" if limits else "")
    return "".join(parts) + "</body></html>\n"


def _html_table(rows: list[list[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _tables(section: str, content: Mapping[str, Any]) -> Iterable[list[list[str]]]:
    """Yield a section's tables, each with its head as the first row."""
    if section == "subgroups":
        for column, groups in content.items():
            head = [column, "flights", "late", "AUC", "Brier score"]
            yield [head, *([name, *_group(figures)] for name, figures in groups.items())]
    elif section == "importance":
        head = ["feature", "AUC lost when shuffled", "spread"]
        losses = charts.largest_first(content["features"])
        yield [head, *([name, f"{loss['mean']:.4f}", f"{loss['spread']:.4f}"] for name, loss in losses)]
    elif section != "limits":
        yield [["what", "value"], *([name.replace("_", " "), _text(value)] for name, value in content.items())]


def _group(figures: Mapping[str, float]) -> list[str]:
    return [
        f"{figures['rows']:,}",
        f"{figures['late_share']:.1%}",
        f"{figures['auc']:.3f}",
        f"{figures['brier']:.3f}",
    ]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list):
        return ", ".join(f"{source['name']} ({source['class']})" for source in value)
    return str(value)
