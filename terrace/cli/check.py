"""`terrace check`: whether environments keep the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from terrace.cli.errors import FAILED, WRONG_INPUT, print_errors, split
from terrace.cli.options import AsJson, ProjectFolder, project_root

if TYPE_CHECKING:
    from terrace.compliance import Verdict
    from terrace.errors import TerraceError

COLORS = {"resource": typer.colors.CYAN, "bad": typer.colors.RED, "mild": typer.colors.YELLOW}


def check(
    envs: Annotated[list[str] | None, typer.Argument(metavar="[ENV]...", help="Environments. [default: all]")] = None,
    project: ProjectFolder = None,
    allow_undetermined: Annotated[
        bool, typer.Option("--allow-undetermined", help="Let pass what is known only once it is deployed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check environments against the rules, by their stack files alone: no state, host, network, or secret is needed.

    Exits with 1 where a mandatory rule isn't kept or the program failed, and with 2 where a stack file is wrong.

    Example: terrace check local prod --json
    """
    from terrace import compliance, config
    from terrace.cli import results
    from terrace.errors import InputError, TerraceError

    root = project_root(project)
    verdicts: list[Verdict] = []
    wrong: list[TerraceError] = []
    for env in envs or config.environments(root):
        try:
            verdicts.append(compliance.check(root, env))
        except TerraceError as error:  # the other environments are told all the same
            wrong += split(error)
    if as_json:
        results.print_json({"environments": [verdict.document() for verdict in verdicts]})
    else:
        for verdict in verdicts:
            _print(verdict)
    if wrong:
        print_errors(wrong, as_json=as_json)
        raise typer.Exit(WRONG_INPUT if any(isinstance(error, InputError) for error in wrong) else FAILED)
    if not all(verdict.is_kept(allow_undetermined=allow_undetermined) for verdict in verdicts):
        raise typer.Exit(FAILED)


def _print(verdict: Verdict) -> None:
    from policies import report

    for line in report.lines(verdict.environment, verdict.tier, verdict.findings):
        typer.secho(line.text, fg=COLORS.get(line.tone), bold=line.tone == "head", dim=line.tone == "dim")
