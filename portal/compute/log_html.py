"""One line of a log as HTML, in the reader's time; page and live stream use the same, and all text is escaped."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localtime

from portal.compute.lines import Line
from portal.lib import ansi

KINDS = {"stdout": "", "stderr": "err", "berth": "Berth"}


@dataclass(frozen=True, slots=True)
class Marked:
    """What is marked in lines: the text that is searched for, and the number of the line that was asked for."""

    text: str = ""
    case: bool = False
    seq: int = 0


def row(line: Line, marked: Marked = Marked()) -> SafeString:
    """A row with number, time, kind and text. Number 0 is Berth's own word, which the archive does not have."""
    kind = line.stream if line.stream in KINDS else "stdout"
    classes = f"log-line log-{kind}{' log-chosen' if line.seq and line.seq == marked.seq else ''}"
    return format_html(
        '<div class="{}"{}{}>{}<time datetime="{}">{}</time><span class="log-kind">{}</span>'
        '<span class="log-text">{}</span></div>\n',
        classes,
        format_html(' id="L{}" data-stream="{}"', line.seq, kind) if line.seq else "",
        mark_safe(" data-returned") if line.returned else "",
        format_html('<a class="log-number" href="?line={0}#L{0}">{0}</a>', line.seq) if line.seq else _NO_NUMBER,
        line.at,
        f"{localtime(datetime.fromisoformat(line.at)):%H:%M:%S}",
        KINDS[kind],
        text(line.text, marked),
    )


_NO_NUMBER = SafeString('<span class="log-number"></span>')


def text(written: str, marked: Marked = Marked()) -> SafeString:
    """With its colours, and what is searched for marked."""
    segments = ansi.segments(written)
    hits = _hits("".join(segment.text for segment in segments), marked)
    html, at = [], 0
    for segment in segments:
        html.append(_segment(segment, at, hits))
        at += len(segment.text)
    return SafeString("".join(html))


def _segment(segment: ansi.Segment, at: int, hits: list[tuple[int, int]]) -> str:
    inner = "".join(_pieces(segment.text, at, hits)) if hits else escape(segment.text)
    return f'<span class="{escape(segment.classes)}">{inner}</span>' if segment.classes else inner


def _pieces(plain: str, at: int, hits: list[tuple[int, int]]) -> Iterator[str]:
    """The text cut where a hit begins or ends."""
    edges = {0, len(plain), *(edge - at for hit in hits for edge in hit if 0 < edge - at < len(plain))}
    for begin, end in pairwise(sorted(edges)):
        piece = escape(plain[begin:end])
        is_hit = any(first <= at + begin < last for first, last in hits)
        yield f"<mark>{piece}</mark>" if is_hit else piece


def _hits(plain: str, marked: Marked) -> list[tuple[int, int]]:
    """Where what is searched for begins and ends; a few per line are enough."""
    sought, within = (marked.text, plain) if marked.case else (marked.text.lower(), plain.lower())
    found: list[tuple[int, int]] = []
    if sought and len(within) == len(plain):  # some letters are two in lower case
        while len(found) < 50 and (begin := within.find(sought, found[-1][1] if found else 0)) >= 0:
            found.append((begin, begin + len(sought)))
    return found
