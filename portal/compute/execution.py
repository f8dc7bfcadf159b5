"""Begins further programs in running containers, for those who may use what the container belongs to."""

from typing import Any

from portal.compute import owners
from portal.compute.engine import runtime
from portal.compute.models import Allocation
from portal.compute.specs import container_name
from portal.compute.states import Desired, Phase
from portal.lib.errors import Forbidden
from runtimes.base import Command, Execution


def begin(request: dict[str, Any]) -> Execution:
    """`request`: allocation, user (ids), arguments, environment, terminal ([columns, rows] or None).

    Raises Forbidden when it does not run or is not the user's to use, RuntimeFailure when the engine says no.
    """
    wanted = {"pk": request["allocation"], "phase": Phase.RUNNING, "desired": Desired.RUN}
    allocation = Allocation.objects.filter(**wanted).first()
    if allocation is None or not owners.owner_of(allocation).usable_by(allocation, request["user"]):
        raise Forbidden("It does not run, or is not yours to use.")
    terminal = request["terminal"]
    command = Command(
        tuple(request["arguments"]),
        request["environment"],
        (int(terminal[0]), int(terminal[1])) if terminal else None,
    )
    return runtime().execute(container_name(allocation), command)
