"""The agent's command line: ``python3 -m backup_agent COMMAND``."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from types import FrameType
from typing import Any

from . import job, restore, service
from .choice import Request
from .errors import AgentError
from .settings import Settings


def main() -> int:
    """Do what the argument says; 0 fine, 1 it failed, 2 it was refused and nothing was touched."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        _run(sys.argv[1], Settings.read(os.environ))
    except AgentError as error:
        if sys.argv[1] == "init":  # `up` shows a person what a setup step says, as it is
            print(f"{error}\nfix: {error.fix}" if error.fix else error, file=sys.stderr)
        else:
            _print("error", what=error.what, why=error.why, fix=error.fix, refused=error.refused)
        return 2 if error.refused else 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(command: str, settings: Settings) -> None:
    match command:
        case "init":
            _print("result", repository=job.initialise(settings))
        case "serve":
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
            service.serve(settings)
        case "backup":
            _print("result", **job.back_up(settings, _say))
        case "list":
            _print("result", backups=job.listed(settings))
        case "plan":
            _print("result", **restore.make_plan(settings, _request()).document())
        case "restore":
            _print("result", **restore.restore(settings, _request(), _say))
        case _:
            raise AgentError(f"there is no command {command!r}", refused=True)


def _request() -> Request:
    return Request(**json.loads(sys.stdin.read()))


def _say(step: str, percent: float | None = None) -> None:
    _print("progress", step=step, percent=percent)


def _print(event: str, **about: Any) -> None:
    print(json.dumps({"event": event, **about}), flush=True)


def _stop(_number: int, _frame: FrameType | None) -> None:
    """End what was started for the command, too: its launcher gave it a process group of its own."""
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.killpg(0, signal.SIGINT)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
