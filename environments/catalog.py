"""Compares a catalog with what is published, and publishes the difference in one transaction."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from environments import contexts, datasets
from environments.catalog_checks import PULLED, based_on
from environments.catalog_files import Catalog, CatalogError
from environments.catalog_published import (
    ALLOWED_COLUMNS,
    CLASS_COLUMNS,
    IMAGE,
    LIMIT_COLUMNS,
    RULE_COLUMNS,
    TEMPLATE_COLUMNS,
    VERSION_COLUMNS,
    columns,
    differing_files,
    published,
    versions,
)
from environments.catalog_yaml import dump
from environments.models import Image, Template, TemplateVersion
from environments.states import ImageState, TemplateKind
from portal.accounts.models import Team
from portal.audit.actions import record
from portal.audit.models import AuditEvent
from portal.compute.models import Size
from portal.lib.errors import Conflict
from portal.live.redis import publish
from portal.quotas.models import ApprovalRule, GpuClass, ResourceLimit
from portal.usage.actions import publish_prices

ALL_TEAMS = "*"
VERB = "catalog.apply"
_LOCK = 7_201_010


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a difference: `+ size small`, `~ template x: name`, `- template y`; `!` is refused."""

    sign: str
    what: str

    def __str__(self) -> str:
        return f"{self.sign} {self.what}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What `apply` would do, in lines, and both sides of it."""

    changes: list[Change]
    before: Catalog
    wanted: Catalog

    @property
    def digest(self) -> str:
        """Another one when any value of a file that differs is another, on either side."""
        return hashlib.sha256(dump(differing_files(self.before, self.wanted)).encode()).hexdigest()


def difference(catalog: Catalog) -> Difference:
    before = published()
    return Difference(_changes(catalog, before), before, catalog)


def diff(catalog: Catalog) -> list[Change]:
    """The lines of the difference; empty when all is published already."""
    return difference(catalog).changes


def _changes(catalog: Catalog, before: Catalog) -> list[Change]:
    return [
        *_changed("GPU class", catalog.gpu_classes, before.gpu_classes),
        *_changed("size", catalog.sizes, before.sizes),
        *_price_changes(catalog, before),
        *_image_changes(catalog),
        *_template_changes(catalog, before),
        *(Change(sign, what) for sign, what in datasets.changes(catalog.datasets)),
        *_changed("limit", catalog.limits, before.limits, "resource"),
        *_changed("approval rule", catalog.approval_rules, before.approval_rules, "name"),
        *_changed("allowed images", catalog.allowed_images, before.allowed_images),
        *_kind_changes(catalog),
    ]


def refuse_edited(changes: list[Change]) -> None:
    """Raises CatalogError where something published was edited."""
    edited = [change.what for change in changes if change.sign == "!"]
    if edited:
        raise CatalogError(edited)


def last_published_by(actor: str) -> bool:
    """Whether the last to publish anything was this one, or nobody has yet."""
    last = AuditEvent.objects.filter(verb=VERB).order_by("-id").values_list("actor", flat=True).first()
    return last in (None, actor)


def notes(catalog: Catalog) -> list[str]:
    """What is no mistake, but may surprise."""
    teams = {ALL_TEAMS, *Team.objects.values_list("slug", flat=True)}
    found = []
    for template in (*catalog.templates, *catalog.allowed_images):
        found += [f"{template['slug']}: there is no team “{t}” yet" for t in template["teams"] if t not in teams]
        if not template["teams"]:
            found.append(f"{template['slug']}: its list of teams is empty, so nobody can launch it")
    return found


@transaction.atomic
def apply(catalog: Catalog, *, actor: str, agreed: str | None = None) -> list[Change]:
    """Publish it: all of it or nothing; one at a time.

    `agreed` is the digest of the difference that was looked at. Raises CatalogError when something published was
    edited, and Conflict when the difference is no longer that one, in any value. When somebody else has published
    all of it meanwhile, there is nothing to do.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    found = difference(catalog)
    refuse_edited(found.changes)
    if not found.changes:
        return []
    if agreed is not None and found.digest != agreed:
        raise Conflict(
            "The catalog was changed by somebody else meanwhile. Look at the difference again.", code="catalog_changed"
        )
    _publish(catalog, actor)
    _record(found, actor)
    publish("catalog", "images")
    return found.changes


def _publish(catalog: Catalog, actor: str) -> None:
    _publish_gpu_classes(catalog)
    _publish_sizes(catalog)
    publish_prices(catalog.prices, catalog.currency, actor=actor)
    for template in catalog.templates:
        _publish_template(template)
    _publish_allowed_images(catalog)
    offered = [one["slug"] for one in (*catalog.templates, *catalog.allowed_images)]
    Template.objects.exclude(slug__in=offered).update(retired=True)
    datasets.publish(catalog.datasets)
    _publish_rules(catalog)
    _publish_limits(catalog)


def _record(done: Difference, actor: str) -> None:
    """The files that changed, as they were and as they are, so that an old state can be read back."""
    old, new = differing_files(done.before, published())
    lines = [str(change) for change in done.changes]
    record(actor, VERB, "catalog", before={"files": old}, after={"changes": lines, "files": new})


def _changed(
    kind: str, wanted: list[dict[str, Any]], before: list[dict[str, Any]], name: str = "slug"
) -> Iterator[Change]:
    """Of what has a place in a list and a name."""
    known = {one[name]: (n, one) for n, one in enumerate(before)}
    for n, one in enumerate(wanted):
        found = known.pop(one[name], None)
        if found is None:
            yield Change("+", f"{kind} {one[name]}")
        elif found != (n, one):
            yield Change("~", f"{kind} {one[name]}")
    yield from (Change("-", f"{kind} {gone}") for gone in known)


def _publish_gpu_classes(catalog: Catalog) -> None:
    for position, one in enumerate(catalog.gpu_classes):
        values = {"memory_gib": Decimal(str(one["memory_gib"])), "products": one.get("products", [])}
        values |= columns(one, CLASS_COLUMNS)
        GpuClass.objects.update_or_create(slug=one["slug"], defaults=values | {"position": position, "retired": False})
    GpuClass.objects.exclude(slug__in=[one["slug"] for one in catalog.gpu_classes]).update(retired=True)


def _publish_rules(catalog: Catalog) -> None:
    for position, rule in enumerate(catalog.approval_rules):
        values = columns(rule, RULE_COLUMNS) | {"gpu_class_id": rule["gpu_class"], "position": position}
        ApprovalRule.objects.update_or_create(name=rule["name"], defaults=values)
    ApprovalRule.objects.exclude(name__in=[rule["name"] for rule in catalog.approval_rules]).delete()


def _publish_limits(catalog: Catalog) -> None:
    for position, limit in enumerate(catalog.limits):
        values = columns(limit, LIMIT_COLUMNS) | {"position": position}
        ResourceLimit.objects.update_or_create(resource=limit["resource"], defaults=values)
    ResourceLimit.objects.exclude(resource__in=[limit["resource"] for limit in catalog.limits]).delete()


def _publish_allowed_images(catalog: Catalog) -> None:
    """They run at every size; the first is what a job has by itself."""
    sizes = [size["slug"] for size in catalog.sizes]
    shown = {"summary": "", "icon_letter": "I", "icon_colour": "grey", "default_size_id": sizes[0], "retired": False}
    for position, one in enumerate(catalog.allowed_images):
        values = columns(one, ALLOWED_COLUMNS) | shown | {"kind": TemplateKind.IMAGE, "position": position}
        template, _ = Template.objects.update_or_create(slug=one["slug"], defaults=values)
        template.sizes.set(sizes)


def _publish_sizes(catalog: Catalog) -> None:
    for position, size in enumerate(catalog.sizes):
        gpu = size.get("gpu", {"class": None, "count": 0})
        values = {
            "cpu": Decimal(str(size["cpu"])),
            "memory_gib": Decimal(str(size["memory_gib"])),
            "gpu_class_id": gpu["class"],
            "gpu_count": gpu["count"],
        }
        Size.objects.update_or_create(slug=size["slug"], defaults=values | {"position": position, "retired": False})
    Size.objects.exclude(slug__in=[size["slug"] for size in catalog.sizes]).update(retired=True)


def _price_changes(catalog: Catalog, before: Catalog) -> Iterator[Change]:
    for sku, wanted in catalog.prices.items():
        current = before.prices.get(sku)
        if current != wanted or before.currency != catalog.currency:
            yield Change("+" if current is None else "~", f"price {sku}: {wanted} {catalog.currency} per hour")


def _images(catalog: Catalog) -> list[dict[str, str]]:
    """Those that templates name, and those these build on."""
    named = [version["image"] for template in catalog.templates for version in template["versions"]]
    return list({one["name"]: one for image in named for one in (image, *based_on(image))}.values())


def _source(image: dict[str, str]) -> dict[str, Any]:
    """Columns of an Image that say where it comes from."""
    if "build" in image:
        return {"context": image["build"], "reference": contexts.reference_of(image["build"]), "tag": ""}
    found = PULLED.fullmatch(image["pull"])
    assert found is not None, image
    reference = f"{found['name']}{found['digest']}" if found["digest"] else ""
    return {"context": "", "reference": reference, "tag": f"{found['name']}{found['tag']}" if found["tag"] else ""}


def _differs(row: Image, source: dict[str, Any]) -> bool:
    """A tag is what it was when it was resolved; a digest is compared, wherever it was found."""
    if source["reference"]:
        return (row.context, row.reference) != (source["context"], source["reference"])
    return bool(row.tag != source["tag"])


def _image_changes(catalog: Catalog) -> Iterator[Change]:
    known = {row.name: row for row in Image.objects.all()}
    used = set(TemplateVersion.objects.values_list("image_id", flat=True))
    for image in _images(catalog):
        row, source = known.get(image["name"]), _source(image)
        name = source["reference"] or source["tag"]
        if row is None:
            yield Change("+", f"image {image['name']}: {name}")
        elif _differs(row, source):
            rebuilt = source["context"] and row.context == source["context"]
            if rebuilt or not row.reference or row.name not in used:
                yield Change("~", f"image {image['name']}: {name}")
            else:
                yield Change("!", f"image {row.name} is run by published versions; give {name} another name")


def _template_changes(catalog: Catalog, before: Catalog) -> Iterator[Change]:
    known = {template["slug"]: template for template in before.templates}
    ever = versions()
    for wanted in catalog.templates:
        found = known.pop(wanted["slug"], None)
        if found is None:
            yield Change("+", f"template {wanted['slug']}")
        elif fields := _differing(wanted, found):
            yield Change("~", f"template {wanted['slug']}: {', '.join(fields)}")
        yield from _version_changes(catalog, wanted, {v["version"] for v in (found or {}).get("versions", [])}, ever)
    yield from (Change("-", f"template {slug}") for slug in known)


def _differing(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    before, after = columns(found, TEMPLATE_COLUMNS), columns(wanted, TEMPLATE_COLUMNS)
    fields = [name for name in after if before[name] != after[name]]
    if wanted["icon"] != found["icon"]:
        fields.append("icon")
    return [*fields, "sizes"] if set(wanted["sizes"]) != set(found["sizes"]) else fields


def _kind_changes(catalog: Catalog) -> Iterator[Change]:
    """What a name once stood for it stands for as long as something may have run under it."""
    wanted = {one["slug"]: False for one in catalog.templates} | {one["slug"]: True for one in catalog.allowed_images}
    for slug, kind in Template.objects.filter(slug__in=wanted).values_list("slug", "kind"):
        if wanted[slug] != (kind == TemplateKind.IMAGE):
            was = "a template" if wanted[slug] else "allowed images"
            yield Change("!", f"“{slug}” was the name of {was} before; choose another")


def _version_changes(
    catalog: Catalog, wanted: dict[str, Any], offered: set[str], ever: dict[str, dict[str, Any]]
) -> Iterator[Change]:
    for version in wanted["versions"]:
        what = f"{wanted['slug']} {version['version']}"
        found = ever.get(what)
        if found is not None and _edited(version, found):
            place = catalog.places.get(what, "")
            where = f"{place}: " if place else ""
            yield Change("!", f"{where}version {what} was published already and cannot change; add a new version")
        elif version["version"] not in offered:
            yield Change("+", f"version {what}")
    gone = offered - {version["version"] for version in wanted["versions"]}
    yield from (Change("-", f"version {wanted['slug']} {version}") for version in sorted(gone))


def _edited(version: dict[str, Any], found: dict[str, Any]) -> bool:
    other_image = version[IMAGE]["name"] != found[IMAGE]["name"]
    return bool(other_image) or columns(version, VERSION_COLUMNS) != columns(found, VERSION_COLUMNS)


def _publish_template(wanted: dict[str, Any]) -> None:
    icon = {"icon_letter": wanted["icon"]["letter"], "icon_colour": wanted["icon"]["colour"]}
    values = columns(wanted, TEMPLATE_COLUMNS) | icon | {"retired": False}
    values["default_size_id"] = values.pop("default_size")
    template, _ = Template.objects.update_or_create(slug=wanted["slug"], defaults=values)
    template.sizes.set(wanted["sizes"])
    for version in wanted["versions"]:
        image = _publish_image(version["image"])
        TemplateVersion.objects.update_or_create(
            template=template,
            version=version["version"],
            defaults={"retired": False},
            create_defaults=columns(version, VERSION_COLUMNS) | {IMAGE: image},
        )
    template.versions.exclude(version__in=[v["version"] for v in wanted["versions"]]).update(retired=True)


def _publish_image(image: dict[str, str]) -> Image:
    source, below = _source(image), based_on(image)
    values = source | {"base": _publish_image(below[0]) if below else None}
    row, _ = Image.objects.get_or_create(name=image["name"], defaults=values)
    if _differs(row, source) or row.state == ImageState.REMOVED:
        again = values if _differs(row, source) else {}
        Image.objects.filter(pk=row.pk).update(**again, state=ImageState.QUEUED, working_until=None)
    return row
