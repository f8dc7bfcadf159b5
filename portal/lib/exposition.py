"""The text format in which Prometheus reads metrics, version 0.0.4."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], Decimal | float]
"""Labels and value."""


@dataclass(frozen=True, slots=True)
class Metric:
    """`kind` is gauge or counter."""

    name: str
    kind: str
    help: str
    samples: Sequence[Sample]


def text(metrics: Iterable[Metric]) -> str:
    return "".join(f"{line}\n" for metric in metrics for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {_escaped(metric.help)}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for labels, value in metric.samples:
        pairs = ",".join(f'{name}="{_quotable(value)}"' for name, value in labels.items())
        number = f"{value:f}" if isinstance(value, Decimal) else repr(value)
        yield f"{metric.name}{{{pairs}}} {number}" if pairs else f"{metric.name} {number}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quotable(text: str) -> str:
    return _escaped(text).replace('"', r"\"")
