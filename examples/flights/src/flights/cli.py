"""The command line: one command a step, and those that a person uses."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flights.errors import FlightsError
from flights.logs import printed_to
from flights.runs import Run, run_locally
from flights.settings import Configuration

STEPS = {
    "extract": "read the source's tables",
    "validate": "refuse a bad batch: personal data, schema, statistics",
    "version": "send the data to the platform's DVC remote",
    "features": "fill the feature store and join what was known at the moment of prediction",
    "search": "try parameters on the training months",
    "train": "train the best of them, and the baseline",
    "evaluate": "judge both on the months that nothing else saw",
    "register": "register the model with all that it came from",
    "serve": "pass the gate, and put the version into production",
    "monitor": "ask what is served about flights that have landed, and say whether to train again",
}
QUIET = {
    "GIT_PYTHON_REFRESH": "quiet",  # a bundle has no Git to ask
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "DO_NOT_TRACK": "true",
    "PGTZ": "UTC",  # Feast gives timestamps in the session's zone, without saying which
}
# Training shares the machine with the platform's services. One thread a core that also spins while it waits makes it
# fifty times slower there: half of the cores, and sleeping while waiting, doesn't.
THREADS = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 2) // 2)), "OMP_WAIT_POLICY": "passive"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0 fine, 1 it failed, 2 the input is wrong."""
    options = _parser().parse_args(arguments)
    os.environ.update(QUIET)
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)
    try:
        options.call(options)
    except FlightsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flights", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, text in STEPS.items():
        _command(commands, name, f"step: {text}", _step).set_defaults(step=name)
    _command(commands, "run", "run all the steps here, as the platform would", _run)
    again = _command(commands, "replay", "ask the platform about flights of later months", _replay)
    again.add_argument("--requests", type=_positive, default=300, help="how many flights (300)")
    again.add_argument("--workers", type=_positive, default=1, help="clients at once (1)")
    again.add_argument("--json", action="store_true", help="print the result as JSON")
    known = _command(commands, "labels", "hand over whether the flights that were replayed were late", _labels)
    known.add_argument("--requests", type=_positive, default=300, help="how many flights were replayed (300)")
    known.add_argument("--until", metavar="MONTH", help="only those that landed by the end of this month (2013-09)")
    check = _command(commands, "check", "say whether a registered version holds all that the gate asks for", _check)
    check.add_argument("version", help="the version's number")
    check.add_argument("--model", help="the registered model (the configuration's)")
    _command(commands, "rehearse", "train and judge here, without a platform, as CI does", _rehearse)
    restore = _command(commands, "restore", "fetch the data that a registered version was made from", _restore)
    restore.add_argument("version", help="the version's number")
    restore.add_argument("folder", type=Path, help="where to put it")
    _command(commands, "profile", "print the reference of the statistics gate, made from the source", _profile)
    return parser


def _command(
    commands: Any, name: str, text: str, call: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(call=call)
    return command


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _step(options: argparse.Namespace) -> None:
    from flights import data_steps

    configuration, run = Configuration.load(), Run.from_environment()
    steps: Any = data_steps
    if not hasattr(data_steps, options.step):
        from flights import model_steps

        steps = model_steps
    with printed_to(run.logs / f"{options.step}.log"):
        print(f"{options.step}: {getattr(steps, options.step)(run, configuration)}")


def _check(options: argparse.Namespace) -> None:
    from flights import gate

    name = options.model or Configuration.load().model_name
    gate.check_version(name, options.version)
    print(f"{name} version {options.version} holds all that the gate asks for")


def _rehearse(_options: argparse.Namespace) -> None:
    from flights.rehearsal import rehearse

    print(rehearse(Configuration.load(), lambda line: print(line, flush=True)))


def _run(_options: argparse.Namespace) -> None:
    folder = run_locally(lambda line: print(line, flush=True))
    print(f"the run's files are in {folder}")


def _replay(options: argparse.Namespace) -> None:
    from flights.replay import replay

    result = replay(Configuration.load(), options.requests, options.workers)
    if options.json:
        print(json.dumps(result))
        return
    months = ", ".join(f"{month} {value:.3f}" for month, value in result["auc_by_month"].items())
    print(
        f"{result['model']} version {result['version']}: AUC {result['auc']:.4f} on later months "
        f"(schedule alone {result['baseline_auc']:.4f})\n  by month: {months}\n"
        f"  {result['requests']} requests, {result['requests_per_second']:.1f} a second; "
        f"p50 {result['p50_ms']:.1f} ms, p99 {result['p99_ms']:.1f} ms "
        f"(model server alone: {result['serving_p50_ms']:.1f} and {result['serving_p99_ms']:.1f} ms)\n"
        f"  served answers differ from the model's own by at most {result['max_abs_difference']:.1e}"
    )


def _labels(options: argparse.Namespace) -> None:
    from flights import labels, replay

    configuration = Configuration.load()
    flights = labels.landed_until(replay.sample(configuration, options.requests), options.until)
    kept = labels.hand_over(configuration.model_name, flights)
    print(
        "the platform takes no labels" if kept is None else f"{kept} labels of {configuration.model_name} handed over"
    )


def _restore(options: argparse.Namespace) -> None:
    from flights import dataset, tracking

    pointer = tracking.data_pointer(Configuration.load().model_name, options.version)
    print(f"the data of version {options.version} is in {dataset.pull(options.folder, pointer)}")


def _profile(_options: argparse.Namespace) -> None:
    from flights import source, statistics

    batch = statistics.profile(source.read_package())
    reference = statistics.make_reference(batch, Configuration.load().split["test_from"])
    print(json.dumps(reference, indent=1, sort_keys=True))
