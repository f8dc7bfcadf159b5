"""What `drain` does in a Berth's own Python: `queue COUNT [USER]`, `close`, `open`, `wait SECONDS` and `begun`.

Jobs are submitted here because the API lets nobody submit hundreds in a minute."""

import json
import os
import sys
import time
from collections import Counter, defaultdict
from typing import Any

import django

PEOPLE = {"vision": ("scientist", "lead", "vera"), "risk": ("outsider", "rita", "rolf")}
SAID = "once"
RIGHT = ["succeeded", 1, 1, 0, SAID]


def queue(count: int, username: str = "") -> list[str]:
    """Ids; all of one person, then all of the next, or all of one."""
    from jobs.actions import submit
    from jobs.submission import Submission
    from portal.accounts.models import User

    people = [User.objects.get(username=username)] if username else _people()
    asked = Submission(template="python", command=["echo", SAID])
    return [submit(people[n * len(people) // count], asked, actor="benchmark").pk for n in range(count)]


def _people() -> list[Any]:
    from portal.accounts.actions import add_member, create_user
    from portal.accounts.models import Role, Team, User

    found = []
    for slug, names in PEOPLE.items():
        team = Team.objects.get(slug=slug)
        for name in names:
            user = User.objects.filter(username=name).first()
            if user is None:
                user = create_user(name, name, "", actor="benchmark")
                add_member(team, user, Role.MEMBER, actor="benchmark")
            found.append(user)
    return found


def close() -> None:
    from portal.compute import node_actions
    from portal.compute.models import Node

    node_actions.cordon(Node.objects.get(), "benchmark", actor="benchmark")


def open_() -> dict[str, float]:
    """Cores on which jobs have a place from now on."""
    from portal.compute import node_actions
    from portal.compute.models import Node

    node = Node.objects.get()
    node_actions.uncordon(node, actor="benchmark")
    return {"cores": float(node.schedulable_cpu)}


def begun() -> dict[str, Any]:
    """The jobs in the order in which they got their places, those of one person in that in which they were queued;
    `wrong` says how it went with those that did not succeed with one attempt in one container that wrote one line.
    """
    from jobs.models import Attempt, Job
    from portal.compute.models import Transition

    whose = dict(Job.objects.values_list("pk", "owner__username"))
    placed = Transition.objects.filter(to_phase="admitted", allocation__owner_kind="job").order_by("pk")
    queued: defaultdict[str, list[str]] = defaultdict(list)
    for pk in sorted(whose):
        queued[whose[pk]].append(pk)
    went: defaultdict[str, list[Any]] = defaultdict(list)
    for attempt in Attempt.objects.select_related("job", "allocation"):
        went[attempt.job_id].append(_went(attempt))
    return {
        "placed": [(whose[pk], pk) for pk in placed.values_list("allocation__owner_id", flat=True)],
        "queued": queued,
        "wrong": {pk: went[pk] for pk in whose if went[pk] != [RIGHT]},
    }


def _went(attempt: Any) -> list[Any]:
    """The state of the job, number of the attempt, its containers, the exit code of the last, and what they wrote."""
    from portal.compute.log_reading import lines_after

    row, lines = attempt.allocation, [line.text for line in lines_after(attempt.allocation)]
    return [attempt.job.state, attempt.number, row.generation, row.exit_code, *lines]


def wait(seconds: float) -> dict[str, int]:
    """How many jobs of each state there are, as soon as all are over or the time is."""
    from jobs.models import Job
    from jobs.states import UNFINISHED

    until = time.monotonic() + seconds
    while time.monotonic() < until and Job.objects.filter(state__in=UNFINISHED).exists():
        time.sleep(0.1)
    return Counter(Job.objects.values_list("state", flat=True))


def main(what: str, *arguments: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    done: Any
    match what:
        case "queue":
            done = queue(int(arguments[0]), *arguments[1:])
        case "wait":
            done = wait(float(arguments[0]))
        case _:
            done = {"close": close, "open": open_, "begun": begun}[what]()
    print(json.dumps(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
