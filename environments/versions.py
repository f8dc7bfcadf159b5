"""Versions of templates: which are offered, what a newer one brings, and which workspaces it is for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Prefetch, QuerySet, Value, When, prefetch_related_objects

from environments.models import TemplateVersion, Workspace
from environments.schema import Schema


def offered() -> QuerySet[TemplateVersion]:
    """What can be launched first, newest first; then what still waits for its image's digest."""
    waits = Case(When(image__reference="", then=Value(1)), default=Value(0))
    return TemplateVersion.objects.filter(retired=False).select_related("image").order_by(waits, "-published_at")


def with_newer(workspaces: Sequence[Workspace]) -> None:
    """Fetch what update_for needs, for all of them with one query."""
    prefetch_related_objects(list(workspaces), Prefetch("version__template__versions", queryset=offered()))


def resolved(version: TemplateVersion) -> bool:
    """Whether the digest of its image is known."""
    return bool(version.image.reference)


def unresolved_sentence(version: TemplateVersion) -> str:
    """Why it cannot be launched yet."""
    image = version.image
    waits = f"Version {version.version} waits until {image.tag} is resolved to a digest"
    return f"{waits}: {image.message}" if image.message else f"{waits}. Try again in a minute."


@dataclass(frozen=True, slots=True)
class Update:
    """A newer version that a workspace could take, with what it changes."""

    version: str
    template_name: str
    summary: str
    changes: str
    differences: tuple[str, ...]
    schema: Schema


def update_for(workspace: Workspace) -> Update | None:
    """The newest one, if it is newer; see with_newer for several."""
    mine, template = workspace.version, workspace.version.template
    newest = next((v for v in template.versions.all() if not v.retired and resolved(v)), None)
    if template.retired or workspace.deleted_at is not None or newest is None or newest.pk == mine.pk:
        return None
    if newest.published_at < mine.published_at:
        return None
    return Update(
        newest.version,
        template.name,
        newest.summary,
        newest.changes,
        tuple(differences(mine, newest)),
        newest.parameters,
    )


def differences(old: TemplateVersion, new: TemplateVersion) -> Iterator[str]:
    """What is not the same, one sentence each."""
    if old.image_id != new.image_id:
        yield f"Image {new.image_id} in place of {old.image_id}"
    yield from _parameter_differences(_properties(old), _properties(new))
    if old.command != new.command:
        yield "Another command"
    names = {*old.environment, *new.environment}
    if changed := sorted(name for name in names if old.environment.get(name) != new.environment.get(name)):
        yield f"Variables set by the template: {', '.join(changed)}"


def _properties(version: TemplateVersion) -> dict[str, Any]:
    found: dict[str, Any] = version.parameters.get("properties", {})
    return found


def _parameter_differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for sentence, names in (
        ("New parameters", new.keys() - old.keys()),
        ("Parameters that are gone", old.keys() - new.keys()),
        ("Parameters that changed", {name for name in new.keys() & old.keys() if new[name] != old[name]}),
    ):
        if names:
            yield f"{sentence}: {', '.join(sorted(names))}"
