"""Gathers what the pages of files show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from django.db.models import QuerySet
from django.urls import reverse

from environments import dataset_versions
from environments.cards import FileRow, Meter
from environments.dataset_models import DatasetVersion
from environments.files import access, disk, previews
from environments.files.access import Place
from environments.files.actions import volume_of
from environments.models import Workspace
from environments.states import VolumeKind
from portal.accounts.models import User
from portal.lib import beneath, words

MOST_SHOWN = 1000
LATEST = 10
"""Versions of a dataset on its page."""
RUNNABLE = (".py", ".ipynb")
ICONS = {VolumeKind.HOME: "home", VolumeKind.TEAM: "users", VolumeKind.DATASET: "database"}
KINDS = {"link": "a link, not followed here", "other": "not an ordinary file"}


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a folder; without `url` it is shown only."""

    entry: beneath.Entry
    url: str
    path: str

    @property
    def note(self) -> str:
        return KINDS.get(self.entry.kind, "" if self.url else "its name cannot be shown as it is")

    @property
    def name(self) -> str:
        return self.entry.name.encode(errors="surrogateescape").decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Crumb:
    label: str
    url: str


def url(place: Place, verb: str, path: str = "") -> str:
    if verb == "browse" and not path:
        return reverse("files-place", args=[place.key])
    return reverse("files-place", args=[place.key]) + f"{verb}/{quote(path)}"


def crumbs(place: Place, names: tuple[str, ...]) -> list[Crumb]:
    """From all files to the folder that holds the last name."""
    found = [Crumb(*place.above)]
    if names:
        found.append(Crumb(place.title, url(place, "browse")))
    return found + [Crumb(names[at], url(place, "browse", "/".join(names[: at + 1]))) for at in range(len(names) - 1)]


def look(place: Place, names: tuple[str, ...]) -> dict[str, Any] | None:
    """What a folder's page shows; None where `names` is not a folder."""
    with disk.opened(volume_of(place)) as root:
        if names:
            with beneath.folder(root, names[:-1]) as above:
                if beneath.entry(above, names[-1]).kind == "file":
                    return None
        with beneath.folder(root, names) as where:
            entries, count = beneath.entries(where, MOST_SHOWN, hidden=() if names else (disk.HIDDEN,))
    return {"lines": [_line(place, names, entry) for entry in entries], "count": count}


def _line(place: Place, names: tuple[str, ...], entry: beneath.Entry) -> Line:
    path = "/".join((*names, entry.name))
    return Line(entry, url(place, "browse", path) if entry.addressable else "", path)


def frame(place: Place, names: tuple[str, ...]) -> dict[str, Any]:
    """What every page inside a volume shows."""
    return {
        "place": place,
        "meter": meter(place),
        "title": names[-1] if names else place.title,
        "inside": "/".join((place.inside, *names)),
        "path": "/".join(names),
        "crumbs": crumbs(place, names),
        "top": not names,
        "shown_most": MOST_SHOWN,
        "versions": versions(place)[:LATEST] if not names else [],
        "lines": None,
    }


def versions(place: Place) -> QuerySet[DatasetVersion]:
    """Newest first; of a dataset alone."""
    rows = DatasetVersion.objects.filter(dataset=place.title)
    return rows if place.kind == VolumeKind.DATASET else rows.none()


def newest_versions(places: Sequence[Place]) -> dict[str, DatasetVersion]:
    """By key, of those that are datasets with files; one query."""
    keys = {place.title: place.key for place in places if place.kind == VolumeKind.DATASET}
    return {keys[name]: version for name, version in dataset_versions.newest(keys).items()}


def file(place: Place, names: tuple[str, ...]) -> dict[str, Any]:
    with disk.opened(volume_of(place)) as root, beneath.folder(root, names[:-1]) as where:
        entry, descriptor = beneath.entry(where, names[-1]), beneath.read(where, names[-1])
    with open(descriptor, "rb", buffering=0):  # noqa: PTH123 - it has no name any more
        preview = previews.of(descriptor, names[-1])
    return frame(place, names) | {"entry": entry, "preview": preview, "runs_as_job": _job(place, names)}


def _job(place: Place, names: tuple[str, ...]) -> str:
    """Where a script or notebook of one's own home is submitted as a job, with its folder as it is now."""
    if place.kind != VolumeKind.HOME or not names[-1].endswith(RUNNABLE):
        return ""
    query = urlencode({"folder": "/".join(names[:-1]) or ".", "run": names[-1]})
    return f"{reverse('job-new')}?{query}"


def entry(place: Place, names: tuple[str, ...]) -> beneath.Entry:
    """Raises NotFound where nothing has that name."""
    with disk.opened(volume_of(place)) as root, beneath.folder(root, names[:-1]) as where:
        return beneath.entry(where, names[-1])


def meter(place: Place) -> Meter | None:
    if not place.limit or place.used is None:
        return None
    return Meter(place.title, place.usage, float(place.used), float(place.limit))


def warnings(user: User) -> list[str]:
    """A sentence for each folder that is nearly full and that this person can clear."""
    return [warning(place) for place in access.places_of(user) if place.may_write and place.nearly_full]


def warning(place: Place) -> str:
    return (
        f"{place.title} is nearly full: {place.usage}. Nothing is stopped by it, but uploads that do not fit are "
        "refused. Delete what is not needed, or ask an administrator for more."
    )


def meters(user: User) -> list[Meter]:
    """That of the person's home, once it has been measured."""
    found = meter(next(place for place in access.places_of(user) if place.key == "home"))
    return [found] if found else []


def of_workspace(viewer: User, workspace: Workspace) -> list[FileRow]:
    """What its next start mounts; with links for its owner alone."""
    chosen = {f"/data/{name}" for name in workspace.datasets.values_list("pk", flat=True)}
    places = [
        place
        for place in access.places_of(workspace.owner)
        if place.kind != VolumeKind.DATASET or place.inside in chosen
    ]
    return [_file_row(place, linked=viewer == workspace.owner) for place in places]


def _file_row(place: Place, *, linked: bool) -> FileRow:
    text = {
        VolumeKind.HOME: "your home: the same in all your workspaces, stays when one stops or is deleted",
        VolumeKind.TEAM: f"read and write, shared by everybody in {place.title}",
        VolumeKind.DATASET: f"read-only: {place.about}",
    }[place.kind]
    used = f" · {place.usage}" if linked and place.usage else ""
    link = reverse("files-place", args=[place.key]) if linked else ""
    return FileRow(place.inside, text + used, ICONS[place.kind], link, linked and place.nearly_full)


def losses(extent: beneath.Extent) -> str:
    least = "" if extent.whole else "at least "
    files = "1 file" if extent.files == 1 else f"{extent.files:,} files"
    return f"{least}{files} in {extent.folders + 1:,} folder{'s' if extent.folders else ''}, {words.size(extent.bytes)}"
