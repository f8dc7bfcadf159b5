"""Gathers what the catalog's pages show, each with a fixed number of queries."""

from typing import Any

from django.conf import settings
from django.db.models import Count, Q

from environments import access, cards, catalog, images, versions
from environments.catalog_files import CatalogError, read
from environments.models import Dataset, Template, TemplateVersion
from environments.states import TemplateKind
from portal.accounts.models import Team
from portal.compute.models import Size
from portal.lib.money import Money
from portal.quotas.models import ApprovalRule, GpuClass, ResourceLimit
from portal.usage import costs
from portal.usage.models import Price

IN_USE = Count("versions__workspaces", filter=Q(versions__workspaces__deleted_at=None))


def overview() -> dict[str, Any]:
    allowed = Template.objects.filter(kind=TemplateKind.IMAGE, retired=False)
    templates = Template.objects.exclude(kind=TemplateKind.IMAGE)
    templates = templates.prefetch_related("versions__image").annotate(in_use=IN_USE)
    sizes = list(Size.objects.filter(retired=False))
    prices = costs.per_hour(sizes)
    return {
        "templates": [_row(template) for template in templates.order_by("retired", "position", "slug")],
        "sizes": [(size.slug, cards.size_text(size), prices[size.slug]) for size in sizes],
        "gpu_classes": GpuClass.objects.filter(retired=False).annotate(
            number=Count("devices", filter=Q(devices__missing_since=None))
        ),
        "approval_rules": ApprovalRule.objects.all(),
        "limits": ResourceLimit.objects.all(),
        "allowed_images": [(one, _teams(one)) for one in allowed],
        "prices": _prices(),
        "datasets": [(one, _teams(one)) for one in Dataset.objects.filter(retired=False)],
        "drift": _drift(),
        "live_topics": ["catalog", "images"],
    }


def _row(template: Template) -> dict[str, Any]:
    offered = sorted(template.versions.all(), key=lambda v: v.published_at, reverse=True)
    newest = next((version for version in offered if not version.retired), offered[0] if offered else None)
    return {
        "slug": template.slug,
        "name": template.name,
        "summary": template.summary,
        "icon_letter": template.icon_letter,
        "icon_colour": template.icon_colour,
        "retired": template.retired,
        "teams": _teams(template),
        "version": newest.version if newest else "",
        "image": newest.image if newest else None,
        "image_sentence": images.in_short(newest.image) if newest else "",
        "in_use": template.in_use,  # type: ignore[attr-defined]
    }


def _teams(of: Template | Dataset) -> str:
    if access.ALL_TEAMS in of.teams:
        return "every team"
    return ", ".join(of.teams) or "nobody"


def _prices() -> list[tuple[str, Money]]:
    current = {price.sku: price for price in Price.objects.order_by("valid_from", "pk")}
    return [(price.label, Money(price.per_hour, price.currency)) for _, price in sorted(current.items())]


def _drift() -> list[str]:
    """What applying the files would change; the reason when they cannot be read."""
    try:
        return [str(change) for change in catalog.diff(read(settings.BASE_DIR / "catalog"))]
    except CatalogError as error:
        return error.problems


def template(slug: str) -> dict[str, Any]:
    found = access.any_template(slug)
    known = set(Team.objects.values_list("slug", flat=True))
    rows = found.versions.select_related("image", "template")
    counted = rows.annotate(in_use=Count("workspaces", filter=Q(workspaces__deleted_at=None)))
    newest_first = counted.order_by("-published_at")
    return {
        "template": found,
        "teams": _teams(found),
        "unknown_teams": [team for team in found.teams if team not in known | {access.ALL_TEAMS}],
        "sizes": [size.slug for size in found.sizes.all()],
        "versions": [_version(version) for version in newest_first],
        "live_topics": ["catalog", "images"],
    }


def _version(version: TemplateVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "summary": version.summary,
        "changes": version.changes,
        "published_at": version.published_at,
        "retired": version.retired,
        "image": version.image,
        "image_sentence": images.sentence(version.image),
        "reference": version.image.reference or version.image.tag,
        "resolved": versions.resolved(version),
        "in_use": version.in_use,  # type: ignore[attr-defined]
    }
