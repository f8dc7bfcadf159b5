"""`python -m benchmarks.door_workspace IP:PORT`: makes a workspace that is said to run there, and prints its id.

For `door` only, in a Berth without worker and agent, which would look for its container and find none."""

import os
import sys

import django


def main(address: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    from environments.actions import create
    from environments.launch import Launch
    from portal.accounts.models import User
    from portal.compute.models import GIB, Allocation, Node
    from portal.compute.states import Phase

    node = Node.objects.create(
        name="benchmark", runtime="fake", cpu=2, memory=4 * GIB, schedulable_cpu=2, schedulable_memory=4 * GIB
    )
    scientist = User.objects.get(username="scientist")
    workspace = create(scientist, Launch(template="jupyter-python"), actor="benchmark")
    allocation = Allocation.objects.filter(owner_id=workspace.pk)
    allocation.update(phase=Phase.RUNNING, node=node, address=address)
    print(workspace.pk)


if __name__ == "__main__":
    main(sys.argv[1])
