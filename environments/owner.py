"""Answers compute's questions about allocations that belong to workspaces."""

from collections.abc import Collection, Sequence

from django.urls import reverse

from environments import access, actions, delivery, idling, images
from environments.models import Image, Workspace
from portal.accounts.models import Secret, User
from portal.compute.lines import Line
from portal.compute.models import Allocation, Transition
from portal.compute.owners import Image as ImageAnswer
from portal.compute.owners import Subject
from portal.compute.states import Phase
from portal.live.redis import publish


class WorkspaceOwner:
    """See portal.compute.owners.Owner."""

    stays = "Its files. Its owner can start it again at any time."
    preemptible = False
    moves = "Save your work; your files stay, and you can start it again elsewhere."

    def image(self, allocation: Allocation) -> ImageAnswer:
        return images.answer(self._image_of(allocation), allocation.desired_at)

    def image_gone(self, allocation: Allocation) -> None:
        images.request(self._image_of(allocation), actor="reconcile")

    def usable_by(self, allocation: Allocation, user_id: str) -> bool:
        user = User.objects.filter(pk=user_id, is_active=True).first()
        workspace = Workspace.objects.filter(pk=allocation.owner_id, allocation=allocation, deleted_at=None).first()
        return user is not None and workspace is not None and access.Right.ENTER in access.rights_on(user, workspace)

    def files(self, allocation: Allocation) -> dict[str, bytes]:
        workspace = Workspace.objects.select_related("owner", "team").get(pk=allocation.owner_id)
        return delivery.files_for(workspace)

    def hidden(self, allocation: Allocation) -> list[str]:
        return delivery.hidden_from_log(Secret.objects.filter(workspaces=allocation.owner_id))

    def logged(self, allocation: Allocation, lines: Sequence[Line]) -> None:
        """Nothing in a workspace's log means anything to Berth."""

    def observed(self, allocation: Allocation) -> None:
        idling.settle(allocation.owner_id)

    def moved(self, allocation: Allocation, transition: Transition) -> None:
        """A workspace's state is its allocation's; only the lists of active and stopped ones change."""
        if transition.to_phase in (Phase.PENDING, Phase.ENDED):
            publish(f"workspaces-{allocation.user_id}")

    def stop(self, allocation: Allocation, *, actor: str, message: str) -> None:
        actions.stop(Workspace.objects.get(pk=allocation.owner_id), actor=actor, message=message)

    def subjects(self, owner_ids: Collection[str]) -> dict[str, Subject]:
        found = Workspace.objects.filter(pk__in=owner_ids).values_list("pk", "name", "stops_at", "idle_since")
        return {pk: Subject(name, reverse("workspace", args=[pk]), *moments) for pk, name, *moments in found}

    @staticmethod
    def _image_of(allocation: Allocation) -> Image:
        workspace = Workspace.objects.select_related("version__image").get(pk=allocation.owner_id)
        return workspace.version.image
