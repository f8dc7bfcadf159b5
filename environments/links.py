"""Launch links: an address that fills the launch page, as far as the template allows. Following one changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import reverse

from environments import checks, repositories, schema
from environments.launch import Launch
from environments.models import Template, TemplateVersion
from environments.parameter_fields import field_of
from environments.schema import parameters_of
from portal.accounts.models import User
from portal.lib.errors import Invalid

LONGEST = 4_000
PARAM = "param."
LABELS = {"version": "Version", "size": "Size", "git": "Git repository", "ref": "Branch, tag or commit", "name": "Name"}
"""What a link may carry beside parameters. Variables, secrets and the team that pays are never among it."""
FORM_FIELDS = {"git": "git.url", "ref": "git.ref"}
COLUMNS = {"git": "git_url", "ref": "git_ref"}


@dataclass(frozen=True, slots=True)
class Taken:
    """`field` is that of the form."""

    field: str
    label: str
    value: str


@dataclass(slots=True)
class FromLink:
    """What a link asks for: the launch it fills in, what was taken, and why the rest was not."""

    launch: Launch
    taken: list[Taken] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def read(user: User, template: Template, query: QueryDict) -> FromLink:
    """Never fails: what is not allowed or makes no sense is refused with a sentence and left out."""
    found = FromLink(Launch(template=template.slug))
    known = [key for key in LABELS if key in query]
    for key in [*known, *(key for key in query if key not in LABELS)]:
        try:
            _take(user, template, found, key, query.getlist(key))
        except Invalid as problem:
            found.refused.append(problem.detail)
    return found


def _take(user: User, template: Template, found: FromLink, key: str, values: list[str]) -> None:
    _may(template, key)
    if len(values) > 1:
        raise Invalid(f"The link names “{key[:60]}” more than once, so it was left out.")
    text = values[0]
    if "\0" in text:
        raise Invalid(f"What the link says about “{key[:60]}” is no text, so it was left out.")
    if key.startswith(PARAM):
        version = checks.version(template, found.launch.version)
        label, value = _parameter(version, key.removeprefix(PARAM), text)
        field = f"parameters.{key.removeprefix(PARAM)}"
        parameters = dict(found.launch.parameters) | {key.removeprefix(PARAM): value}
        found.launch = replace(found.launch, parameters=parameters)
    else:
        field, label = FORM_FIELDS.get(key, key), LABELS[key]
        value = _checked(user, template, found.launch, key, text)
        changes: dict[str, Any] = {COLUMNS.get(key, key): value}
        found.launch = replace(found.launch, **changes)
    found.taken.append(Taken(field, label, _words(value)))


def _words(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _may(template: Template, key: str) -> None:
    """Raises Invalid for what no link, or no link to this template, may set."""
    name = key.removeprefix(PARAM)
    if key.startswith(PARAM) and {"parameters", f"parameters.{name}"} & set(template.link):
        return
    if key not in LABELS and not key.startswith(PARAM):
        raise Invalid(f"A link cannot set “{key[:60]}”, so it was left out.")
    if key not in template.link:
        raise Invalid(f"{template.name} does not let a link set “{key[:60]}”, so it was left out.")


def _checked(user: User, template: Template, launch: Launch, key: str, text: str) -> str:
    match key:
        case "version":
            return checks.version(template, text).version
        case "size":
            return checks.size(template, text).slug
        case "name":
            return checks.name(user, text)
        case "git":
            return repositories.url(text)
        case _:
            return repositories.ref(text, launch.git_url)


def _parameter(version: TemplateVersion, name: str, text: str) -> tuple[str, Any]:
    """Label and value of one parameter; what others must hold is not asked here."""
    parameter = next((one for one in parameters_of(version.parameters) if one.name == name), None)
    if parameter is None:
        raise Invalid(f"There is no setting “{name[:60]}” in version {version.version}, so it was left out.")
    try:
        value = text == "true" if parameter.kind == "switch" else field_of(parameter).clean(text)
    except ValidationError as error:
        raise Invalid(f"{parameter.label}: {' '.join(error.messages)}") from error
    refused = schema.refusals({"properties": version.parameters["properties"]}, {name: value})
    if refused:
        raise Invalid(f"{parameter.label}: {refused[name][0]}")
    return parameter.label, value


def address(template: Template, launch: Launch) -> str:
    """The link that fills in as much of `launch` as the template allows; "" when it would be too long."""
    query = urlencode(list(_pairs(template, launch)))
    link = f"{settings.PORTAL_URL}{reverse('launch-link', args=[template.slug])}{'?' if query else ''}{query}"
    return link if len(link) <= LONGEST else ""


def _pairs(template: Template, launch: Launch) -> Iterator[tuple[str, str]]:
    values = {"version": launch.version, "size": launch.size, "git": launch.git_url, "ref": launch.git_ref}
    for key, value in values.items():
        if value and key in template.link:
            yield key, value
    defaults = _defaults(template, launch)
    for name, value in launch.parameters.items():
        if {"parameters", f"parameters.{name}"} & set(template.link) and value != defaults.get(name):
            yield f"{PARAM}{name}", str(value).lower() if isinstance(value, bool) else str(value)


def _defaults(template: Template, launch: Launch) -> dict[str, Any]:
    """What goes without saying, in the version that is launched."""
    versions = list(template.versions.all())
    version = next((one for one in versions if one.version == launch.version), versions[0])
    return {one.name: one.default for one in parameters_of(version.parameters)}


def shown(template: Template, launch: Launch) -> dict[str, str]:
    """Link and badge for a page; both empty where there is none."""
    link = "" if template.retired else address(template, launch)
    return {"link": link, "badge": badge(link)}


def badge(link: str) -> str:
    """Markdown of a picture that leads to the link."""
    return f"[![Launch in Berth]({settings.PORTAL_URL}{reverse('launch-badge')})]({link})" if link else ""
