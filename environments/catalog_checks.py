"""What the parts of a catalog must have to do with each other; every problem names its file and line."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema

from environments import contexts
from environments.catalog_yaml import Document
from environments.schema import unsupported

_DIGEST = "sha256:[0-9a-f]{64}"
PULLED = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._/-]*(?::\d+/[a-z0-9._/-]+)?)"
    rf"(?P<tag>:\w[\w.-]{{0,127}})?(?P<digest>@{_DIGEST})?"
)
"""What an image is pulled as: `name:tag`, `name@digest`, or both; a port may follow the registry's name."""

SERVED = ("port", "health_path", "door_header", "command")
"""What a version of a workspace must say, and one of a job, which serves nothing, must not."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Where it is written what all templates share."""

    gpus: Document
    sizes: Document
    prices: Document
    datasets: Document
    approvals: Document
    limits: Document
    allowed: Document


def found_in(shared: Shared, templates: Sequence[Document]) -> list[str]:
    return [
        *_gpu_check(shared),
        *_cross_check(shared.sizes, templates),
        *_image_check(templates),
        *_repeated(shared.datasets, "datasets", "name"),
        *_rule_check(shared),
        *_limit_check(shared.limits),
        *_allowed_check(shared.allowed, templates),
    ]


def _repeats(document: Document, paths: Sequence[list[Any]]) -> Iterator[str]:
    """Values at these paths that were there before."""
    seen = set[str]()
    for path in paths:
        value = document.part(*path).data
        if value in seen:
            yield document.problem(path, f"“{value}” is there twice")
        seen.add(value)


def _repeated(document: Document, part: str, name: str) -> Iterator[str]:
    return _repeats(document, [[part, n, name] for n in range(len(document.data.get(part, [])))])


def _gpu_check(shared: Shared) -> Iterator[str]:
    """A class is there once and has a price; what names one names one that is there."""
    yield from _repeated(shared.gpus, "gpu_classes", "slug")
    classes = [one["slug"] for one in shared.gpus.data.get("gpu_classes", [])]
    prices = shared.prices.data["prices"]
    for n, slug in enumerate(classes):
        if f"gpu-{slug}" not in prices:
            yield shared.gpus.problem(["gpu_classes", n], f"there is no price gpu-{slug} in prices.yaml")
    for n, size in enumerate(shared.sizes.data["sizes"]):
        if "gpu" in size and size["gpu"]["class"] not in classes:
            problem = f"there is no GPU class “{size['gpu']['class']}” in gpus.yaml"
            yield shared.sizes.problem(["sizes", n, "gpu", "class"], problem)


def _rule_check(shared: Shared) -> Iterator[str]:
    yield from _repeated(shared.approvals, "approval_rules", "name")
    classes = [one["slug"] for one in shared.gpus.data.get("gpu_classes", [])]
    for n, rule in enumerate(shared.approvals.data.get("approval_rules", [])):
        if rule["gpu_class"] not in classes:
            problem = f"there is no GPU class “{rule['gpu_class']}” in gpus.yaml"
            yield shared.approvals.problem(["approval_rules", n, "gpu_class"], problem)


NOT_LENT = {"storage_gib": ("team_lends", "team_borrows"), "gpu_hours": ("reclaim_after_minutes",)}
"""A folder of a team is its own, and hours that were used do not come back."""


def _limit_check(limits: Document) -> Iterator[str]:
    yield from _repeated(limits, "limits", "resource")
    for n, limit in enumerate(limits.data.get("limits", [])):
        for name in NOT_LENT.get(limit["resource"], ()):
            if name in limit:
                yield limits.problem(["limits", n, name], f"there is no such thing for {limit['resource']}")


def _allowed_check(allowed: Document, templates: Sequence[Document]) -> Iterator[str]:
    """What people see as an environment has a name of its own."""
    yield from _repeated(allowed, "allowed_images", "slug")
    taken = {template.data["slug"] for template in templates}
    for n, one in enumerate(allowed.data.get("allowed_images", [])):
        if one["slug"] in taken:
            yield allowed.problem(["allowed_images", n, "slug"], f"a template is called “{one['slug']}” too")


def _cross_check(sizes: Document, templates: Sequence[Document]) -> Iterator[str]:
    yield from _repeated(sizes, "sizes", "slug")
    known = {size["slug"] for size in sizes.data["sizes"]}
    slugs = set[str]()
    for template in templates:
        if template.data["slug"] in slugs:
            yield template.problem(["slug"], f"another template is called “{template.data['slug']}” too")
        slugs.add(template.data["slug"])
        yield from _size_check(template, known)
        yield from _repeats(template, [["versions", n, "version"] for n in range(len(template.data["versions"]))])
        for n in range(len(template.data["versions"])):
            yield from _parameter_check(template, ["versions", n])
        yield from _link_check(template)
        yield from _idle_check(template)
        yield from _kind_check(template)


def _size_check(template: Document, known: set[str]) -> Iterator[str]:
    sizes, default = template.data["sizes"], template.data["default_size"]
    for n, size in enumerate(sizes):
        if size not in known:
            yield template.problem(["sizes", n], f"there is no size “{size}” in sizes.yaml")
    if default not in sizes:
        reason = "is not among its sizes" if default in known else "there is no size of that name in sizes.yaml"
        yield template.problem(["default_size"], f"“{default}”: {reason}")


_PARAMETER = re.compile(r"\{parameters\.([A-Za-z0-9_]+)\}")


def _parameter_check(template: Document, version: list[Any]) -> Iterator[str]:
    """The schema is one, and what is filled in is in it."""
    data = template.part(*version).data
    schema = data.get("parameters", {})
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        path = [*version, "parameters", *error.absolute_path]
        yield template.problem(path, f"is no JSON Schema: {error.message[:200]}")
        return
    for where, sentence in unsupported(schema):
        yield template.problem([*version, "parameters", *where], sentence)
    for field_name in ("command", "environment"):
        for name in _PARAMETER.findall(json.dumps(data.get(field_name, ""))):
            if name not in schema.get("properties", {}):
                yield template.problem([*version, field_name], f"there is no parameter “{name}”")


def _link_check(template: Document) -> Iterator[str]:
    """A link may set only parameters that a version has."""
    known = {
        name for version in template.data["versions"] for name in version.get("parameters", {}).get("properties", {})
    }
    for n, name in enumerate(template.data.get("link", [])):
        parameter = name.removeprefix("parameters.")
        if parameter != name and parameter not in known:
            yield template.problem(["link", n], f"no version has a parameter “{parameter}”")


def _idle_check(template: Document) -> Iterator[str]:
    rule = template.data.get("idle")
    if rule and rule["most_minutes"] < rule["stop_after_minutes"]:
        yield template.problem(["idle"], "most_minutes must not be less than stop_after_minutes")
    if rule and rule.get("suspend_after_minutes", 0) >= rule["stop_after_minutes"]:
        yield template.problem(["idle"], "suspend_after_minutes must be less than stop_after_minutes")


def _kind_check(template: Document) -> Iterator[str]:
    job = template.data["kind"] == "job"
    for name in ("ide", "idle", "link", "serves"):
        if job and name in template.data:
            yield template.problem([name], f"a job has no {name}")
    for n, version in enumerate(template.data["versions"]):
        for name in SERVED:
            if job and name in version:
                yield template.problem(["versions", n, name], f"a job has no {name}; who submits it says what runs")
            elif not job and name not in version:
                yield template.problem(["versions", n], f"'{name}' is a required property")


def _image_check(templates: Sequence[Document]) -> Iterator[str]:
    """Each entry says where its image comes from, and no two say different things of one name."""
    known: dict[str, dict[str, str]] = {}
    for template in templates:
        for n, version in enumerate(template.data["versions"]):
            image, path = version["image"], ["versions", n, "image"]
            wrong = _image_problem(image)
            if wrong:
                yield template.problem(path, wrong)
                continue
            for one in (image, *based_on(image)):
                if known.setdefault(one["name"], one) != one:
                    yield template.problem(path, f"the image “{one['name']}” is described differently elsewhere")


def _image_problem(image: dict[str, str]) -> str:
    if ("build" in image) == ("pull" in image):
        return "give either build (a folder below images/) or pull (where it comes from)"
    if "build" in image:
        return "" if contexts.exists(image["build"]) else f"there is no images/{image['build']}/Dockerfile"
    found = PULLED.fullmatch(image["pull"])
    if found is None or not (found["tag"] or found["digest"]):
        return f"“{image['pull'][:80]}” must be name:tag, name@sha256:… or both"
    return ""


def based_on(image: dict[str, str]) -> list[dict[str, str]]:
    """The images that one builds on, nearest first."""
    base = contexts.base_of(image["build"]) if "build" in image and contexts.exists(image["build"]) else ""
    below = {"name": base, "build": base}
    return [below, *based_on(below)] if base else []
