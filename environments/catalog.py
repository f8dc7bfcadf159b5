"""Compares the catalog's files with what is published, and publishes the difference in one transaction."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction

from environments import images
from environments.catalog_files import Catalog, CatalogError
from environments.models import Image, Template, TemplateVersion
from environments.states import ImageState
from portal.audit.actions import record
from portal.compute.models import Size
from portal.usage.actions import publish_price
from portal.usage.models import Price


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a diff: `+ size small`, `~ template x: name`, `- template y`."""

    sign: str
    what: str

    def __str__(self) -> str:
        return f"{self.sign} {self.what}"


def diff(catalog: Catalog) -> list[Change]:
    """What `apply` would do; empty when all is published already."""
    return [
        *_size_changes(catalog),
        *_price_changes(catalog),
        *_image_changes(catalog),
        *_template_changes(catalog),
    ]


@transaction.atomic
def apply(catalog: Catalog, *, actor: str) -> list[Change]:
    """Publish the files: all of it or nothing. Raises CatalogError when a published version was edited."""
    changes = diff(catalog)
    edited = [str(change.what) for change in changes if change.sign == "!"]
    if edited:
        raise CatalogError([f"{what} was published already and cannot change; add a new version" for what in edited])
    if not changes:
        return []
    _publish_sizes(catalog)
    for sku, price in catalog.prices.items():
        publish_price(sku, price, catalog.currency, actor=actor)
    for template in catalog.templates:
        _publish_template(template, catalog.templates.index(template))
    Template.objects.exclude(slug__in=[t["slug"] for t in catalog.templates]).update(retired=True)
    record(actor, "catalog.apply", "catalog", after={"changes": [str(change) for change in changes]})
    return changes


def _size_changes(catalog: Catalog) -> Iterator[Change]:
    published = {size.slug: size for size in Size.objects.filter(retired=False)}
    for position, size in enumerate(catalog.sizes):
        before = published.pop(size["slug"], None)
        wanted = (Decimal(str(size["cpu"])), Decimal(str(size["memory_gib"])), position)
        if before is None:
            yield Change("+", f"size {size['slug']}")
        elif (before.cpu, before.memory_gib, before.position) != wanted:
            yield Change("~", f"size {size['slug']}")
    yield from (Change("-", f"size {slug}") for slug in published)


def _publish_sizes(catalog: Catalog) -> None:
    for position, size in enumerate(catalog.sizes):
        values = {"cpu": Decimal(str(size["cpu"])), "memory_gib": Decimal(str(size["memory_gib"]))}
        Size.objects.update_or_create(slug=size["slug"], defaults=values | {"position": position, "retired": False})
    Size.objects.exclude(slug__in=[size["slug"] for size in catalog.sizes]).update(retired=True)


def _price_changes(catalog: Catalog) -> Iterator[Change]:
    for sku, wanted in catalog.prices.items():
        current = Price.objects.filter(sku=sku).order_by("-valid_from").first()
        if current is None or (current.per_hour, current.currency) != (wanted, catalog.currency):
            yield Change("~" if current else "+", f"price {sku}: {wanted} {catalog.currency} per hour")


def _reference(image: dict[str, str]) -> tuple[str, str]:
    """Context and reference of an image entry."""
    context = image.get("build", "")
    if context and not images.context_exists(context):
        raise CatalogError([f"image {image['name']}: there is no images/{context}/Dockerfile"])
    return context, images.reference_of(context) if context else image["pull"]


def _image_changes(catalog: Catalog) -> Iterator[Change]:
    published = dict(Image.objects.values_list("name", "reference"))
    for image in _images(catalog):
        _context, reference = _reference(image)
        if published.get(image["name"]) != reference:
            yield Change("~" if image["name"] in published else "+", f"image {image['name']}: {reference}")


def _images(catalog: Catalog) -> list[dict[str, str]]:
    found = (version["image"] for template in catalog.templates for version in template["versions"])
    return list({image["name"]: image for image in found}.values())


def _template_changes(catalog: Catalog) -> Iterator[Change]:
    published = {template.slug: template for template in Template.objects.filter(retired=False)}
    for position, wanted in enumerate(catalog.templates):
        before = published.pop(wanted["slug"], None)
        if before is None:
            yield Change("+", f"template {wanted['slug']}")
        else:
            fields = [name for name, value in _columns(wanted, position).items() if getattr(before, name) != value]
            if set(before.sizes.values_list("slug", flat=True)) != set(wanted["sizes"]):
                fields.append("sizes")
            if fields:
                yield Change("~", f"template {wanted['slug']}: {', '.join(fields)}")
        yield from _version_changes(wanted)
    yield from (Change("-", f"template {slug}") for slug in published)


def _version_changes(wanted: dict[str, Any]) -> Iterator[Change]:
    published = {v.version: v for v in TemplateVersion.objects.filter(template_id=wanted["slug"])}
    for version in wanted["versions"]:
        before = published.get(version["version"])
        what = f"version {wanted['slug']} {version['version']}"
        if before is None:
            yield Change("+", what)
        elif any(getattr(before, name) != value for name, value in _version_columns(version).items()):
            yield Change("!", what)


def _columns(template: dict[str, Any], position: int) -> dict[str, Any]:
    return {
        "name": template["name"],
        "summary": template["summary"],
        "kind": template["kind"],
        "ide": template.get("ide", ""),
        "icon_letter": template["icon"]["letter"],
        "icon_colour": template["icon"]["colour"],
        "teams": template["teams"],
        "default_size_id": template["default_size"],
        "position": position,
    }


def _version_columns(version: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": version.get("summary", ""),
        "image_id": version["image"]["name"],
        "command": version["command"],
        "environment": version.get("environment", {}),
        "port": version["port"],
        "health_path": version["health_path"],
        "door_header": version["door_header"],
        "parameters": version.get("parameters", {}),
    }


def _publish_template(wanted: dict[str, Any], position: int) -> None:
    values = _columns(wanted, position) | {"retired": False}
    template, _ = Template.objects.update_or_create(slug=wanted["slug"], defaults=values)
    template.sizes.set(wanted["sizes"])
    for version in wanted["versions"]:
        _publish_image(version["image"])
        TemplateVersion.objects.get_or_create(
            template=template, version=version["version"], defaults=_version_columns(version)
        )


def _publish_image(image: dict[str, str]) -> None:
    context, reference = _reference(image)
    row, _ = Image.objects.get_or_create(name=image["name"], defaults={"context": context, "reference": reference})
    if row.reference != reference:
        changed = {
            "context": context,
            "reference": reference,
            "state": ImageState.QUEUED,
            "working_until": None,
        }
        Image.objects.filter(pk=row.pk).update(**changed)
