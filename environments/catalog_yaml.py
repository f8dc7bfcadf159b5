"""YAML that knows its lines: parses one text, says where in it a value stands, and writes plain data."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

_BREAKS = re.compile("[\x85\u2028\u2029\ufeff]")
"""What the writer would take for the end of a line, unless it is escaped."""


class Unreadable(Exception):
    """The text is no YAML; the message is `name:line: reason`."""

    def __init__(self, name: str, line: int, reason: str) -> None:
        super().__init__(f"{name}:{line}: {reason}")
        self.line, self.reason = line, reason


@dataclass(frozen=True, slots=True)
class Document:
    """A text, or a part of one: `data` as plain values, `node` with their lines."""

    name: str
    data: Any
    node: yaml.Node | None = None

    def line(self, path: Sequence[Any] = ()) -> int:
        """Line of the value at `path`, from 1; of the last part of the path that is there."""
        found = self._node(path)
        return found.start_mark.line + 1 if found is not None else 1

    def place(self, path: Sequence[Any] = ()) -> str:
        return f"{self.name}:{self.line(path)}"

    def problem(self, path: Sequence[Any], sentence: str) -> str:
        where = ".".join(str(part) for part in path) or "the file"
        return f"{self.place(path)}: {where}: {sentence}"

    def part(self, *path: Any) -> "Document":
        data = self.data
        for step in path:
            data = data[step]
        return Document(self.name, data, self._node(path))

    def _node(self, path: Sequence[Any]) -> yaml.Node | None:
        node = self.node
        for part in path:
            if isinstance(node, yaml.MappingNode):
                node = next((value for key, value in reversed(node.value) if key.value == str(part)), node)
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
        return node


def parse(name: str, text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Document:
    """One document. Raises Unreadable, for a key that is given twice too."""
    try:
        reader = loader(text)
        node = reader.get_single_node()
        for key in _repeated(node):
            raise Unreadable(name, key.start_mark.line + 1, f"{key.value}: is given twice")
        return Document(name, None if node is None else reader.construct_document(node), node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error)
        raise Unreadable(name, mark.line + 1 if mark else 1, f"cannot be read: {reason}") from error


def _repeated(node: yaml.Node | None) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        seen = set[str]()
        for key, value in node.value:
            if str(key.value) in seen:
                yield key
            seen.add(str(key.value))
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated(value)


class _Writer(yaml.SafeDumper):
    """Lists indented below their key, and texts of several lines as blocks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(writer: yaml.SafeDumper, value: str) -> yaml.Node:
    style = '"' if _BREAKS.search(value) else "|" if "\n" in value else None
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Writer.add_representer(str, _text)


def dump(data: Any) -> str:
    """As a person would write it; reads back as the same."""
    return yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=100)
