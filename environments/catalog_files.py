"""What the catalog's YAML may say, and its reading; every error names its file and line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema

from environments.catalog_checks import Shared, found_in
from environments.catalog_yaml import Document, Unreadable, parse
from environments.image_references import PATTERN
from environments.schema import completed
from environments.states import Serves
from portal.quotas.states import Resource, WhenIdle

_SLUG = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,38}$"}
_DATASET = _SLUG | {"not": {"enum": ["home", "models"]}}
"""Jobs have something else at `/data/home` and `/data/models`."""
_TEXT = {"type": "string", "minLength": 1, "maxLength": 300}
_LONG_TEXT = {"type": "string", "minLength": 1, "maxLength": 4000}
_LINK = {"type": "string", "pattern": r"^https?://[^\s\"<>]+$", "maxLength": 300}
_MONEY = {"type": "string", "pattern": r"^\d{1,7}(\.\d{1,6})?$"}


def _closed(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


_AMOUNT = {"type": "number", "exclusiveMinimum": 0, "maximum": 9999}
_LIMIT = {"type": "number", "minimum": 0, "maximum": 9_999_999}
_DEVICES = {"type": "integer", "minimum": 0, "maximum": 9999}
_LENT = {"reclaim_after_minutes": {"type": "integer", "minimum": 0, "maximum": 60 * 24 * 7}}
_LENT_OF_A_LIMIT = {
    "dependentRequired": {
        "team_lends": ["each_team"],
        "team_borrows": ["each_team", "team_lends"],
        "reclaim_after_minutes": ["team_lends"],
    }
}
_GPU = _closed({"class": _SLUG, "count": {"type": "integer", "minimum": 1, "maximum": 64}})
SIZES = _closed(
    {
        "sizes": {
            "type": "array",
            "minItems": 1,
            "items": _closed({"slug": _SLUG, "cpu": _AMOUNT, "memory_gib": _AMOUNT}, {"gpu": _GPU}),
        }
    }
)
GPU_CLASSES = _closed(
    {
        "gpu_classes": {
            "type": "array",
            "items": _closed(
                {"slug": _SLUG, "memory_gib": _AMOUNT},
                {
                    "products": {"type": "array", "items": _TEXT},
                    "each_person": _DEVICES,
                    "each_team": _DEVICES,
                    "team_lends": _DEVICES,
                    "team_borrows": _DEVICES,
                    "two_approvers_from": _DEVICES | {"minimum": 1},
                    "idle_minutes": {"type": "integer", "minimum": 5, "maximum": 60 * 24 * 7},
                    "when_idle": {"enum": WhenIdle.values},
                    "grace_hours": _DEVICES,
                    **_LENT,
                },
            )
            | _LENT_OF_A_LIMIT,
        }
    }
)
PRICES = _closed(
    {
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "prices": _closed({"cpu": _MONEY, "memory": _MONEY}, {"storage": _MONEY})
        | {"patternProperties": {"^gpu-": _MONEY}},
    }
)
_IMAGE = _closed({"name": _SLUG}, {"build": _SLUG, "pull": {"type": "string", "maxLength": 250}})
_MINUTES = {"type": "number", "exclusiveMinimum": 0, "maximum": 60 * 24 * 7}
_RULE = _closed({"stop_after_minutes": _MINUTES, "most_minutes": _MINUTES}, {"suspend_after_minutes": _MINUTES})
_IDLE = {"oneOf": [{"type": "null"}, _RULE]}
_VERSION = _closed(
    {
        "version": {"type": "string", "pattern": "^[0-9A-Za-z][0-9A-Za-z._-]{0,38}$"},
        "image": _IMAGE,
    },
    {
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "health_path": _TEXT,
        "door_header": _TEXT,
        "command": {"type": "array", "items": {"type": "string", "maxLength": 500}},
        "summary": _TEXT,
        "changes": _LONG_TEXT,
        "activity": {"enum": ["jupyter", "code-server", "rstudio", "web"]},
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "parameters": {"type": "object"},
    },
)
_LINKABLE = r"^(version|size|git|ref|name|parameters(\.[A-Za-z][A-Za-z0-9_]*)?)$"
TEMPLATE = _closed(
    {
        "slug": _SLUG,
        "name": {"type": "string", "minLength": 1, "maxLength": 60},
        "summary": _TEXT,
        "kind": {"enum": ["workspace", "job"]},
        "icon": _closed(
            {
                "letter": {"type": "string", "minLength": 1, "maxLength": 1},
                "colour": {"enum": ["orange", "blue", "indigo", "green", "purple", "grey"]},
            }
        ),
        "teams": {"type": "array", "items": {"type": "string"}},
        "sizes": {"type": "array", "minItems": 1, "items": _SLUG},
        "default_size": _SLUG,
        "versions": {"type": "array", "minItems": 1, "items": _VERSION},
    },
    {
        "ide": {"enum": ["jupyterlab", "rstudio", "vscode"]},
        "link": {"type": "array", "items": {"type": "string", "pattern": _LINKABLE}},
        "position": {"type": "integer", "minimum": 0, "maximum": 999},
        "documentation": _LINK,
        "notes": _LONG_TEXT,
        "idle": _IDLE,
        "serves": {"enum": Serves.values},
    },
)
DATASETS = _closed(
    {
        "datasets": {
            "type": "array",
            "items": _closed(
                {"name": _DATASET, "summary": _TEXT, "teams": {"type": "array", "items": {"type": "string"}}},
                {"kept_by": _SLUG},
            ),
        }
    }
)
LIMITS = _closed(
    {
        "limits": {
            "type": "array",
            "items": _closed(
                {"resource": {"enum": Resource.values}},
                dict.fromkeys(("each_person", "each_team", "team_lends", "team_borrows"), _LIMIT) | _LENT,
            )
            | _LENT_OF_A_LIMIT,
        }
    }
)
ALLOWED_IMAGES = _closed(
    {
        "allowed_images": {
            "type": "array",
            "items": _closed(
                {
                    "slug": _SLUG,
                    "name": {"type": "string", "minLength": 1, "maxLength": 60},
                    "patterns": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": PATTERN}},
                },
                {"teams": {"type": "array", "items": {"type": "string"}}},
            ),
        }
    }
)
APPROVALS = _closed(
    {
        "approval_rules": {
            "type": "array",
            "items": _closed(
                {
                    "name": _SLUG,
                    "gpu_class": _SLUG,
                    "most_count": {"type": "integer", "minimum": 1, "maximum": 64},
                    "longest_hours": {"type": "integer", "minimum": 1, "maximum": 24 * 366},
                    "mode": {"enum": ["active", "shadow", "off"]},
                },
                {
                    "budget_left": {"type": "boolean"},
                    "most_active_grants": _DEVICES,
                    "no_revocations": {"type": "boolean"},
                },
            ),
        }
    }
)
WHOLE = _closed(
    {
        **SIZES["properties"],
        **PRICES["properties"],
        "templates": {"type": "array", "items": TEMPLATE},
    },
    DATASETS["properties"]
    | GPU_CLASSES["properties"]
    | LIMITS["properties"]
    | APPROVALS["properties"]
    | ALLOWED_IMAGES["properties"],
)


OPTIONAL = {
    "gpus.yaml": "gpu_classes: []",
    "limits.yaml": "limits: []",
    "approvals.yaml": "approval_rules: []",
    "images.yaml": "allowed_images: []",
    "datasets.yaml": "datasets: []",
}
"""Files that need not be there, and what they say then."""


class CatalogError(Exception):
    """`problems` are sentences; those about a file begin with `file:line:`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(slots=True)
class Catalog:
    """What the files say; sizes, GPU classes, limits, rules and allowed images in order, prices per hour by SKU;
    `places` says where a version is written.
    """

    gpu_classes: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[dict[str, Any]] = field(default_factory=list)
    currency: str = "EUR"
    prices: dict[str, Decimal] = field(default_factory=dict)
    templates: list[dict[str, Any]] = field(default_factory=list)
    datasets: list[dict[str, Any]] = field(default_factory=list)
    approval_rules: list[dict[str, Any]] = field(default_factory=list)
    limits: list[dict[str, Any]] = field(default_factory=list)
    allowed_images: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict, compare=False)


def read(folder: Path) -> Catalog:
    """All files of a catalog folder. Raises CatalogError with every problem found, not only the first."""
    declared = [folder / name for name in OPTIONAL if (folder / name).exists()]
    templates = sorted((folder / "templates").glob("*.yaml"))
    paths = [folder / "sizes.yaml", folder / "prices.yaml", *declared, *templates]
    problems: list[str] = []
    texts: dict[str, str] = {}
    for path in paths:
        try:
            texts[str(path.relative_to(folder))] = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{path.name}:1: cannot be read: {error}")
    if problems:
        raise CatalogError(problems)
    return read_files(texts)


def read_files(texts: Mapping[str, str]) -> Catalog:
    """The same of texts by file name: `sizes.yaml`, `prices.yaml`, those OPTIONAL, and `templates/….yaml`."""
    problems: list[str] = []
    sizes = _checked("sizes.yaml", texts["sizes.yaml"], SIZES, problems)
    prices = _checked("prices.yaml", texts["prices.yaml"], PRICES, problems)
    texts = {**OPTIONAL, **texts}
    gpus = _checked("gpus.yaml", texts["gpus.yaml"], GPU_CLASSES, problems)
    datasets = _checked("datasets.yaml", texts["datasets.yaml"], DATASETS, problems)
    approvals = _checked("approvals.yaml", texts["approvals.yaml"], APPROVALS, problems)
    limits = _checked("limits.yaml", texts["limits.yaml"], LIMITS, problems)
    allowed = _checked("images.yaml", texts["images.yaml"], ALLOWED_IMAGES, problems)
    names = sorted(name for name in texts if name.startswith("templates/"))
    templates = [_checked(name.removeprefix("templates/"), texts[name], TEMPLATE, problems) for name in names]
    if not problems:
        problems += _misnamed(templates)
    return _catalog(Shared(gpus, sizes, prices, datasets, approvals, limits, allowed), templates, problems)


def read_text(text: str, name: str) -> Catalog:
    """One document that holds `sizes`, `currency`, `prices`, `templates`, perhaps those OPTIONAL.

    Raises CatalogError.
    """
    problems: list[str] = []
    whole = _checked(name, text, WHOLE, problems)
    count = 0 if problems else len(whole.data["templates"])
    return _catalog(Shared(*[whole] * 7), [whole.part("templates", n) for n in range(count)], problems)


def _catalog(shared: Shared, templates: list[Document], problems: list[str]) -> Catalog:
    if not problems:
        problems += found_in(shared, templates)
    if problems:
        raise CatalogError(problems)
    return Catalog(
        gpu_classes=shared.gpus.data.get("gpu_classes", []),
        sizes=shared.sizes.data["sizes"],
        currency=shared.prices.data["currency"],
        prices={sku: Decimal(price) for sku, price in shared.prices.data["prices"].items()},
        templates=[_completed(template.data) for template in templates],
        datasets=shared.datasets.data.get("datasets", []),
        approval_rules=shared.approvals.data.get("approval_rules", []),
        limits=shared.limits.data.get("limits", []),
        allowed_images=[{"teams": ["*"]} | one for one in shared.allowed.data.get("allowed_images", [])],
        places=_places(templates),
    )


def _completed(template: dict[str, Any]) -> dict[str, Any]:
    """With its parameters as they are published."""
    versions = [version | _parameters(version) for version in template["versions"]]
    return template | {"versions": versions}


def _parameters(version: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": completed(version["parameters"])} if version.get("parameters") else {}


def _checked(name: str, text: str, schema: dict[str, Any], problems: list[str]) -> Document:
    try:
        document = parse(name, text)
    except Unreadable as error:
        problems.append(str(error))
        return Document(name, {})
    for problem in jsonschema.Draft202012Validator(schema).iter_errors(document.data):
        problems.append(document.problem(list(problem.absolute_path), problem.message[:200]))
    return document


def _places(templates: Sequence[Document]) -> dict[str, str]:
    return {
        f"{template.data['slug']} {version['version']}": template.place(["versions", n])
        for template in templates
        for n, version in enumerate(template.data["versions"])
    }


def _misnamed(templates: Sequence[Document]) -> Iterator[str]:
    for template in templates:
        slug = template.data["slug"]
        if template.name != f"{slug}.yaml":
            yield template.problem(["slug"], f"the file of “{slug}” must be called {slug}.yaml")
