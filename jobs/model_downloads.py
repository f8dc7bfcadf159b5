"""A version of a model as a download: the file, or a zip of the folder."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from environments.files import archive, disk, sending
from jobs.model_models import ModelVersion
from jobs.model_states import VersionState
from jobs.registry import artifacts_at
from portal.lib.errors import Conflict

_SENTENCES = {
    VersionState.WAITING: "It is still being kept. Try again in a few seconds.",
    VersionState.FAILED: "It could not be kept.",
    VersionState.DELETED: "Its files were deleted.",
}


def send(request: HttpRequest, version: ModelVersion) -> HttpResponseBase:
    """Raises Conflict where its files are not there."""
    if not version.usable:
        raise Conflict(_SENTENCES[VersionState(version.state)], code=f"model_{version.state}")
    found = [(version.inside(one.path), one.size) for one in artifacts_at(version.job, version.path)]
    if version.is_file:
        ((name, _),) = found
        return sending.send(request, disk.read(version.volume, (name,)), name)
    return archive.send(version.volume, found, f"{version.folder}.zip")
