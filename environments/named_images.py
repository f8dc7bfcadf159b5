"""Images that jobs name: which of them the catalog allows, and the version of a template it stands for.

A job runs a version of something that the catalog offers, always. What the catalog allows by patterns is a template of
kind `image`, and each image that a job names under it is a version. A tag stands for one that follows it, until it is
pulled for the job: from then on the job runs the version of that digest.
"""

from collections.abc import Iterable
from dataclasses import replace

from django.db import transaction

from environments.access import ALL_TEAMS
from environments.image_references import EXAMPLE, Reference, fits, read
from environments.images import ring_fetch
from environments.models import Image, Template, TemplateVersion
from environments.states import ImageState, TemplateKind
from portal.accounts.models import Team
from portal.lib.errors import Invalid


def allowed_for(team: Team) -> list[Template]:
    """What jobs that this team pays may name images under, in the order of the catalog."""
    rows = Template.objects.filter(kind=TemplateKind.IMAGE, retired=False, teams__overlap=[ALL_TEAMS, team.slug])
    return list(rows.select_related("default_size"))


def version(team: Team, text: str) -> TemplateVersion:
    """The one that stands for this image; not kept yet where nobody named it before. Raises Invalid naming `image`."""
    asked = read(text)
    if not text.strip():
        raise Invalid.field("image", f"Name the image that it shall run in, such as {EXAMPLE}.")
    if asked is None:
        raise Invalid.field("image", f"“{text[:80]}” names no image: write it with a tag or digest, as {EXAMPLE}.")
    offered = allowed_for(team)
    under = next((template for template in offered if _allows(template, asked)), None)
    if under is None:
        patterns = dict.fromkeys(pattern for template in offered for pattern in template.patterns)
        raise Invalid.field("image", _refusal(asked, team, patterns))
    return _standing_for(under, asked)


def _refusal(asked: Reference, team: Team, patterns: Iterable[str]) -> str:
    if not patterns:
        return (
            f"Jobs of {team.name} may not name images of their own. Choose an environment of the catalog, or ask an "
            "administrator to allow some."
        )
    return (
        f"Jobs of {team.name} may not run {asked}. They may run what fits {', '.join(patterns)}; ask an administrator "
        "to allow others."
    )


def _allows(template: Template, asked: Reference) -> bool:
    """Beside a tag, a digest must be one that is allowed by itself, or that Berth has seen under that tag."""
    by_tag = not asked.tag or fits(template.patterns, asked.name + asked.tag)
    by_digest = not asked.digest or fits(template.patterns, asked.name + asked.digest) or _seen(asked)
    return by_tag and by_digest


def _seen(asked: Reference) -> bool:
    return Image.objects.filter(named=str(asked), resolved_at__isnull=False).exclude(tag="").exists()


def _standing_for(template: Template, asked: Reference) -> TemplateVersion:
    found = TemplateVersion.objects.filter(template=template, version=asked.label).select_related("template", "image")
    image = Image(
        name=asked.label,
        named=str(asked),
        tag=f"{asked.name}{asked.tag}" if asked.tag else "",
        reference=f"{asked.name}{asked.digest}" if asked.digest else "",
    )
    made = TemplateVersion(template=template, version=asked.label, image=image, command=[], retired=True)
    return found.first() or made


@transaction.atomic
def kept(version: TemplateVersion) -> TemplateVersion:
    """The same, in the database; whoever comes first writes it."""
    if version.pk is not None:
        return version
    image = version.image
    same = {"named": image.named, "tag": image.tag, "reference": image.reference}
    image, new = Image.objects.get_or_create(name=image.name, defaults=same)
    found, _ = TemplateVersion.objects.get_or_create(
        template=version.template, version=version.version, defaults={"image": image, "command": [], "retired": True}
    )
    if new:
        transaction.on_commit(lambda: ring_fetch(image.pk))
    return found


@transaction.atomic
def meant(version: TemplateVersion) -> TemplateVersion:
    """Of a tag whose image was pulled just now, the version of that digest; its image is there as well."""
    image, asked = version.image, read(version.image.named)
    assert asked is not None and image.reference and image.digest
    digest = f"@{image.reference.rpartition('@')[2]}"
    found = kept(_standing_for(version.template, replace(asked, digest=digest)))
    row = Image.objects.filter(pk=found.image_id)
    row.update(resolved_at=image.resolved_at)
    there = {"state": ImageState.READY, "digest": image.digest, "size": image.size, "ready_at": image.ready_at}
    row.exclude(state=ImageState.READY).update(**there, message="", progress=1.0, working_until=None)
    return found
