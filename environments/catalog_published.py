"""What is published, in the words of the catalog's files: `catalog export`, and one side of every difference."""

from collections import ChainMap
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from environments.catalog_files import Catalog
from environments.catalog_yaml import dump
from environments.models import Dataset, Image, Template, TemplateVersion, linkable
from environments.states import TemplateKind
from portal.compute.models import Size
from portal.quotas.models import ApprovalRule, GpuClass, ResourceLimit
from portal.quotas.states import WhenIdle
from portal.usage.models import Price

IMAGE = "image"
TEMPLATE_COLUMNS: dict[str, Any] = {
    "name": None,
    "summary": None,
    "kind": None,
    "ide": "",
    "position": 999,
    "documentation": "",
    "notes": "",
    "teams": None,
    "link": linkable(),
    "idle": None,
    "serves": "",
    "default_size": None,
}
"""Fields of a template that are columns of the same name, with what a file may leave out."""
VERSION_COLUMNS: dict[str, Any] = {
    "summary": "",
    "changes": "",
    "port": None,
    "health_path": "",
    "door_header": "",
    "activity": "web",
    "command": [],
    "environment": {},
    "parameters": {},
}
"""The same of a version."""


CLASS_COLUMNS: dict[str, Any] = {
    "each_person": None,
    "each_team": None,
    "team_lends": 0,
    "team_borrows": 0,
    "reclaim_after_minutes": None,
    "two_approvers_from": None,
    "idle_minutes": None,
    "when_idle": WhenIdle.WARN.value,
    "grace_hours": None,
}
"""The same of a GPU class."""
LIMIT_COLUMNS: dict[str, Any] = {
    "each_person": None,
    "each_team": None,
    "team_lends": 0,
    "team_borrows": 0,
    "reclaim_after_minutes": None,
}
"""The same of a limit."""
RULE_COLUMNS: dict[str, Any] = {
    "most_count": None,
    "longest_hours": None,
    "budget_left": False,
    "most_active_grants": None,
    "no_revocations": False,
    "mode": None,
}
"""The same of an approval rule."""


ALLOWED_COLUMNS: dict[str, Any] = {"name": None, "patterns": None, "teams": None}
"""The same of images that are allowed."""


def columns(data: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """All of them, with their defaults."""
    return {name: data.get(name, default) for name, default in known.items()}


def _written(row: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """Those that differ from their defaults."""
    values = {name: getattr(row, name) for name in known}
    return {name: value for name, value in values.items() if value != known[name]}


def published() -> Catalog:
    """All that is offered now; what is retired is left out."""
    prices = {price.sku: price for price in Price.objects.order_by("valid_from", "pk")}
    offered = Template.objects.filter(retired=False)
    templates = offered.exclude(kind=TemplateKind.IMAGE).prefetch_related("sizes", "versions__image")
    return Catalog(
        gpu_classes=[_gpu_class(one) for one in GpuClass.objects.filter(retired=False)],
        sizes=[_size(size) for size in Size.objects.filter(retired=False)],
        currency=next((price.currency for price in prices.values()), "EUR"),
        prices={sku: _plain(price.per_hour) for sku, price in prices.items()},
        templates=[template_data(template) for template in templates.order_by("slug")],
        approval_rules=[_rule(rule) for rule in ApprovalRule.objects.all()],
        limits=[_limit(limit) for limit in ResourceLimit.objects.all()],
        allowed_images=[_allowed(one) for one in offered.filter(kind=TemplateKind.IMAGE)],
        datasets=[_dataset(dataset) for dataset in Dataset.objects.filter(retired=False).order_by("name")],
    )


def versions() -> dict[str, dict[str, Any]]:
    """Every version that was ever published, by `slug version`."""
    rows = TemplateVersion.objects.exclude(template__kind=TemplateKind.IMAGE).select_related("image")
    return {f"{row.template_id} {row.version}": version_data(row) for row in rows}


def _gpu_class(one: GpuClass) -> dict[str, Any]:
    products = {"products": one.products} if one.products else {}
    return {"slug": one.slug, "memory_gib": _number(one.memory_gib), **products, **_written(one, CLASS_COLUMNS)}


def _size(size: Size) -> dict[str, Any]:
    gpu = {"gpu": {"class": size.gpu_class_id, "count": size.gpu_count}} if size.gpu_class_id else {}
    return {"slug": size.slug, "cpu": _number(size.cpu), "memory_gib": _number(size.memory_gib), **gpu}


def _rule(rule: ApprovalRule) -> dict[str, Any]:
    return {"name": rule.name, "gpu_class": rule.gpu_class_id, **_written(rule, RULE_COLUMNS)}


def _limit(limit: ResourceLimit) -> dict[str, Any]:
    amounts = {name: _number(Decimal(amount)) for name, amount in _written(limit, LIMIT_COLUMNS).items()}
    return {"resource": limit.resource, **amounts}


def _allowed(one: Template) -> dict[str, Any]:
    return {"slug": one.slug, **_written(one, ALLOWED_COLUMNS)}


def _dataset(dataset: Dataset) -> dict[str, Any]:
    kept_by = {"kept_by": dataset.kept_by} if dataset.kept_by else {}
    return {"name": dataset.name, "summary": dataset.summary, "teams": dataset.teams, **kept_by}


def _plain(value: Decimal) -> Decimal:
    """Without zeros at the end, and never as 1E+2."""
    return Decimal(f"{value.normalize():f}")


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def template_data(template: Template) -> dict[str, Any]:
    """As its file says it; its versions oldest first."""
    row = _written(template, {name: value for name, value in TEMPLATE_COLUMNS.items() if name != "default_size"})
    teams = row.pop("teams")
    offered = [version for version in template.versions.all() if not version.retired or template.retired]
    return {
        "slug": template.slug,
        **row,
        "icon": {"letter": template.icon_letter, "colour": template.icon_colour},
        "teams": teams,
        "sizes": [size.slug for size in template.sizes.all() if not size.retired],
        "default_size": template.default_size_id,
        "versions": [version_data(version) for version in reversed(offered)],
    }


def version_data(version: TemplateVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        IMAGE: image_data(version.image),
        **_written(version, VERSION_COLUMNS),
    }


def image_data(image: Image) -> dict[str, str]:
    """A tag is written with the digest that it was resolved to."""
    if image.context:
        return {"name": image.name, "build": image.context}
    digest = image.reference.partition("@")[2]
    both = f"{image.tag}@{digest}" if image.tag and digest else image.tag or image.reference
    return {"name": image.name, "pull": both}


def documents(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """The same by file."""
    prices = {sku: str(price) for sku, price in catalog.prices.items()}
    return {
        "gpus.yaml": {"gpu_classes": catalog.gpu_classes},
        "sizes.yaml": {"sizes": catalog.sizes},
        "limits.yaml": {"limits": catalog.limits},
        "prices.yaml": {"currency": catalog.currency, "prices": prices},
        "datasets.yaml": {"datasets": catalog.datasets},
        "approvals.yaml": {"approval_rules": catalog.approval_rules},
        "images.yaml": {"allowed_images": catalog.allowed_images},
        **{f"templates/{template['slug']}.yaml": template for template in catalog.templates},
    }


def differing_files(before: Catalog, after: Catalog) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of `documents` that are not the same on both sides: as they were, and as they are to be."""
    old, new = documents(before), documents(after)
    names = [name for name in old | new if old.get(name) != new.get(name)]
    return {name: old[name] for name in names if name in old}, {name: new[name] for name in names if name in new}


def as_text(catalog: Catalog) -> str:
    """All of it as one document, which catalog_files.read_text reads."""
    files = documents(catalog)
    shared = (data for name, data in files.items() if not name.startswith("templates/"))
    return dump({**ChainMap(*shared), "templates": catalog.templates})


def write(catalog: Catalog, folder: Path) -> Iterable[Path]:
    """One file each, as catalog_files.read reads them. Files of templates that are not offered are removed."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    files = {folder / name: data for name, data in documents(catalog).items()}
    for old in set((folder / "templates").glob("*.yaml")) - set(files):
        old.unlink()
    for path, data in files.items():
        path.write_text(dump(data))
    return files
