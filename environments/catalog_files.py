"""Reads the catalog's YAML files and checks them; every error names its file and line."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import yaml

_SLUG = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,38}$"}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 300}
_MONEY = {"type": "string", "pattern": r"^\d{1,7}(\.\d{1,6})?$"}


def _closed(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


_AMOUNT = {"type": "number", "exclusiveMinimum": 0, "maximum": 9999}
SIZES = _closed(
    {
        "sizes": {
            "type": "array",
            "minItems": 1,
            "items": _closed({"slug": _SLUG, "cpu": _AMOUNT, "memory_gib": _AMOUNT}),
        }
    }
)
PRICES = _closed(
    {
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "prices": _closed({"cpu": _MONEY, "memory": _MONEY}),
    }
)
_IMAGE = {
    "oneOf": [
        _closed({"name": _SLUG, "build": _SLUG}),
        _closed({"name": _SLUG, "pull": {"type": "string", "pattern": "^[^@\\s]+@sha256:[0-9a-f]{64}$"}}),
    ]
}
_VERSION = _closed(
    {
        "version": {"type": "string", "pattern": "^[0-9A-Za-z][0-9A-Za-z._-]{0,38}$"},
        "image": _IMAGE,
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "health_path": _TEXT,
        "door_header": _TEXT,
        "command": {"type": "array", "items": {"type": "string", "maxLength": 500}},
    },
    {
        "summary": _TEXT,
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "parameters": {"type": "object"},
    },
)
TEMPLATE = _closed(
    {
        "slug": _SLUG,
        "name": {"type": "string", "minLength": 1, "maxLength": 60},
        "summary": _TEXT,
        "kind": {"const": "workspace"},
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
    {"ide": {"enum": ["jupyterlab", "rstudio", "vscode"]}},
)


class CatalogError(Exception):
    """`problems` are sentences, each beginning with `file:line:`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(slots=True)
class Catalog:
    """What the files say; sizes in order, prices per hour by SKU."""

    sizes: list[dict[str, Any]] = field(default_factory=list)
    currency: str = "EUR"
    prices: dict[str, Decimal] = field(default_factory=dict)
    templates: list[dict[str, Any]] = field(default_factory=list)


def read(folder: Path) -> Catalog:
    """All files of a catalog folder. Raises CatalogError with every problem found, not only the first."""
    problems: list[str] = []
    sizes = _load(folder / "sizes.yaml", SIZES, problems)
    prices = _load(folder / "prices.yaml", PRICES, problems)
    paths = sorted((folder / "templates").glob("*.yaml"))
    templates = [(path, _load(path, TEMPLATE, problems)) for path in paths]
    if not problems:
        problems += _cross_check({size["slug"] for size in sizes["sizes"]}, templates)
    if problems:
        raise CatalogError(problems)
    return Catalog(
        sizes=sizes["sizes"],
        currency=prices["currency"],
        prices={sku: Decimal(price) for sku, price in prices["prices"].items()},
        templates=[template for _path, template in templates],
    )


def _load(path: Path, schema: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    try:
        text = path.read_text()
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except (OSError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        problems.append(
            f"{path.name}:{mark.line + 1 if mark else 1}: cannot be read: {getattr(error, 'problem', error)}"
        )
        return {}
    for problem in jsonschema.Draft202012Validator(schema).iter_errors(data):
        where = ".".join(str(part) for part in problem.path) or "the file"
        problems.append(f"{path.name}:{_line(node, list(problem.path))}: {where}: {problem.message[:200]}")
    return data if isinstance(data, dict) else {}


def _line(node: yaml.Node | None, path: list[Any]) -> int:
    """Line of the value at `path`, from 1."""
    for part in path:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == str(part)), node)
        elif isinstance(node, yaml.SequenceNode):
            node = node.value[part]
    return node.start_mark.line + 1 if node is not None else 1


def _cross_check(sizes: set[str], templates: list[tuple[Path, dict[str, Any]]]) -> Iterator[str]:
    for path, template in templates:
        if path.stem != template["slug"]:
            yield f"{path.name}:1: slug: the file of “{template['slug']}” must be called {template['slug']}.yaml"
        for size in {*template["sizes"], template["default_size"]} - sizes:
            yield f"{path.name}:1: sizes: there is no size “{size}” in sizes.yaml"
        if template["default_size"] not in template["sizes"]:
            yield f"{path.name}:1: default_size: “{template['default_size']}” is not among its sizes"
