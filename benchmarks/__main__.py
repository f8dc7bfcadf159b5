"""`python -m benchmarks [NAME…]`: runs them (all quick ones, if none is named) and shows how Berth compares."""

import argparse
import signal
from functools import partial

from benchmarks import door, drain, flood, job_list, launch, logs, queue, report, resume, usage
from deploy.screen import Stopped, explain, say

QUICK = ("launch", "resume", "door", "logs", "job-list", "queue")
NAMES = (*QUICK, "usage", "flood", "drain")


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _end)
    measures = {
        "launch": partial(launch.measure, arguments.rounds),
        "resume": partial(resume.measure, arguments.rounds),
        "door": partial(door.measure, arguments.rounds, arguments.seconds),
        "logs": partial(logs.measure, arguments.rounds),
        "job-list": partial(job_list.measure, arguments.rounds),
        "queue": partial(queue.measure, arguments.rounds),
        "usage": partial(usage.measure, arguments.rounds, arguments.intervals),
        "flood": partial(flood.measure, arguments.lines, arguments.gib),
        "drain": partial(drain.measure, arguments.jobs),
    }
    try:
        for name in arguments.names or QUICK:
            say(f"\n{name}")
            result = measures[name]()
            report.show(result)
            if arguments.write:
                report.write(result)
    except Stopped as stopped:
        explain(stopped)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="|".join(NAMES), type=_name)
    parser.add_argument("--rounds", type=int, default=7, help="how often each contender is measured (7)")
    parser.add_argument("--seconds", type=int, default=10, help="length of one turn of `door` (10)")
    parser.add_argument("--intervals", type=int, default=10_000_000, help="how many `usage` makes (10000000)")
    parser.add_argument("--lines", type=int, default=10_000_000, help="that `flood` writes (10 million)")
    parser.add_argument("--gib", type=int, default=10, help="of the endless line of `flood` (10; 0: none)")
    parser.add_argument("--jobs", type=int, default=500, help="that `drain` queues (500)")
    parser.add_argument("--write", action="store_true", help=f"put the ratios into {report.PAGE.name}")
    return parser.parse_args()


def _name(given: str) -> str:
    if given not in NAMES:
        raise argparse.ArgumentTypeError(f"“{given}” is none of {', '.join(NAMES)}")
    return given


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main())
