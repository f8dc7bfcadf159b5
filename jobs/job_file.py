"""Jobs, sweeps and schedules as YAML files with the fields of the API: read, refused by line, and jobs written."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import yaml
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.serializers import ValidationError

from environments import catalog_yaml
from environments.catalog_yaml import Document, Unreadable
from jobs.body import NewJobSerializer, submission_in, values_of
from jobs.submission import Submission
from portal.lib.bodies import TooLarge, unusable
from portal.lib.errors import Invalid
from portal.lib.rest import WHOLE_BODY, checked, invalid

MEDIA_TYPE = "application/yaml"
LARGEST = 128 * 1024
_TEXT = "tag:yaml.org,2002:str"
_RESOLVED = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float")}


class Plain(yaml.SafeLoader):
    """Trees of plain values: no anchors and no tags; a date is text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _RESOLVED]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None or getattr(event, "tag", None) is not None:
            raise yaml.MarkedYAMLError(problem="anchors, aliases and tags are not read", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for name, _ in node.value:
            if name.tag != _TEXT:
                raise yaml.MarkedYAMLError(problem="write this name in quotes", problem_mark=name.start_mark)
        return super().construct_mapping(node, deep)


class Written(dict[str, Any]):
    """The fields of a body, and where in a file they stand."""

    def __init__(self, document: Document) -> None:
        super().__init__(document.data)
        self.document = document


def read(content: bytes) -> Written:
    """Raises TooLarge, ParseError for what is no YAML, and Invalid for what no field could hold."""
    if len(content) > LARGEST:
        raise TooLarge(f"A file has at most {LARGEST:,} bytes.")
    try:
        document = catalog_yaml.parse("job", content.decode(), Plain)
    except UnicodeDecodeError as error:
        raise ParseError("The file is not UTF-8.") from error
    except Unreadable as error:
        raise ParseError(f"Line {error.line}: {error.reason}") from error
    if not isinstance(document.data, dict):
        raise Invalid.field(WHOLE_BODY, "A file has fields, such as “name: nightly”.")
    written = Written(document)
    with placed(written):
        if errors := dict(unusable("", document.data)):
            raise ValidationError(errors)
    return written


@contextmanager
def located(content: bytes) -> Iterator[Submission]:
    """What a file asks for. Raises as `read`, and Invalid naming lines and fields, also of what is refused in here."""
    written = read(content)
    with placed(written):
        yield submission_in(checked(NewJobSerializer, written))


def submission(content: bytes) -> Submission:
    """What a file asks for. Raises as `located`."""
    with located(content) as asked:
        return asked


def dump(asked: Submission) -> str:
    """A file that asks for the same."""
    return catalog_yaml.dump(values_of(asked))


@contextmanager
def placed(data: Any) -> Iterator[None]:
    """What is refused in here says on which line of the file it stands, where `data` comes from a file."""
    try:
        yield
    except (Invalid, ValidationError) as error:
        if not isinstance(data, Written):
            raise
        raise _with_lines(data, error if isinstance(error, Invalid) else invalid(error)) from error


def _with_lines(written: Written, problem: Invalid) -> Invalid:
    places = {field: _place(written, field) for field in problem.fields}
    fields = {field: [f"{places[field]}{one}" for one in said] for field, said in problem.fields.items()}
    first = next(iter(places.values()), "")
    return Invalid(f"{first}{problem.detail}", fields=fields, next_step=problem.next_step)


def _place(written: Written, field: str) -> str:
    path = [int(part) if part.isdecimal() and len(part) < 5 else part for part in field.split(".")]
    return f"Line {written.document.line(path)}: " if path[0] in written else ""


class JobFile(BaseParser):
    """Reads a file as a body."""

    media_type = MEDIA_TYPE

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Written:
        return read(stream.read(LARGEST + 1))
