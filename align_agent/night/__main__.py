"""`python -m align_agent.night`: one night as a process of its own, so that its memory comes back.

Progress and the outcome go to standard error. Exit codes: 0 done (also nothing to learn), 1 failed,
2 usage or configuration, 3 refused by the gate, 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys

from align_agent.errors import AlignAgentError
from align_agent.night.progress import progress_for
from align_agent.night.run import exit_code, run_night
from align_agent.night.stop import Stoppable
from align_agent.paths import find_home

# A night of the scheduler gives way to whatever the machine is used for.
NICENESS = 10


def main(arguments: list[str] | None = None) -> int:
    """Run a night and say how it ended. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m align_agent.night", description=__doc__)
    parser.add_argument("--home", default=None, help="the folder that holds all data")
    parser.add_argument("--trigger", default="manual", help="who started it, for the record")
    parser.add_argument("--fresh", action="store_true", help="do not go on with an old night")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if chosen.trigger == "schedule":
        os.nice(NICENESS)
    try:
        with Stoppable(progress_for()) as progress:
            progress.on_signals(signal.SIGTERM, signal.SIGINT)
            run = run_night(
                find_home(chosen.home),
                resume=not chosen.fresh,
                progress=progress,
                trigger=chosen.trigger,
            )
    except AlignAgentError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; the next night goes on from here", file=sys.stderr)
        return 130
    print(f"{run.status}: {run.reason}", file=sys.stderr)
    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
