"""Answers compute's questions about allocations that belong to workspaces."""

from environments import images
from environments.models import Image, Workspace
from environments.states import ImageState
from portal.compute.models import Allocation, Transition
from portal.compute.owners import Image as ImageAnswer
from portal.compute.states import Phase
from portal.live.redis import publish


class WorkspaceOwner:
    """See portal.compute.owners.Owner."""

    def image(self, allocation: Allocation) -> ImageAnswer:
        image = self._image_of(allocation)
        match image.state:
            case ImageState.READY:
                return ImageAnswer(ready=True, reference=image.digest)
            case ImageState.FAILED:
                return ImageAnswer(failed=True, message=f"Image {image.name} could not be built: {image.message}")
            case _:
                return ImageAnswer(message=images.sentence(image), progress=image.progress)

    def image_gone(self, allocation: Allocation) -> None:
        images.request(self._image_of(allocation), actor="reconcile")

    def moved(self, allocation: Allocation, transition: Transition) -> None:
        """A workspace's state is its allocation's; only the lists of active and stopped ones change."""
        if transition.to_phase in (Phase.PENDING, Phase.ENDED):
            publish(f"workspaces-{allocation.user_id}")

    @staticmethod
    def _image_of(allocation: Allocation) -> Image:
        workspace = Workspace.objects.select_related("version__image").get(pk=allocation.owner_id)
        return workspace.version.image
