"""What the API says of anything that holds compute: its log and its use, and their shapes."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.response import Response

from portal.compute import log_reading, series
from portal.compute.lines import Line
from portal.compute.models import Allocation
from portal.compute.states import LogState
from portal.lib import clock

PAGE_LINES = 1000
MOST_TAIL = 10_000
MOST_SEARCHED = 200
LARGEST_SEQ = 2**53
WINDOW = timedelta(hours=1)
LOG_STATES = [("none", "Never started"), *LogState.choices]


class LogQuery(serializers.Serializer[Any]):
    after = serializers.IntegerField(
        required=False, min_value=0, max_value=LARGEST_SEQ, help_text="Only lines with a higher number."
    )
    tail = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_TAIL, help_text="Only the last so many lines."
    )
    at = serializers.DateTimeField(required=False, help_text="Only lines of that time or later.")
    search = serializers.CharField(
        required=False, max_length=MOST_SEARCHED, trim_whitespace=False, help_text="Only lines with this text in them."
    )
    format = serializers.ChoiceField(["json", "text"], default="json", help_text="`text`: all of it, the lines alone.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "search" in attrs and attrs["format"] == "text":
            raise serializers.ValidationError({"search": "Goes page by page: leave out `format=text`."})
        return attrs


class LineSerializer(serializers.Serializer[Any]):
    seq = serializers.IntegerField(help_text="Counted from 1 at each start.")
    at = serializers.CharField()
    stream = serializers.CharField(help_text="`stdout`, `stderr`, or `berth` for what Berth adds.")
    line = serializers.CharField(source="text")


class LogSerializer(serializers.Serializer[Any]):
    """A part of the log of the latest start."""

    results = LineSerializer(many=True)
    next_after = serializers.IntegerField(help_text="`after` for what comes next.")
    state = serializers.ChoiceField(LOG_STATES)


def log_answer(allocation: Allocation | None, query: dict[str, Any]) -> HttpResponseBase:
    """The lines a LogQuery asks for; as JSON at most PAGE_LINES of them, as text all, streamed."""
    after = _after(allocation, query) if allocation else 0
    lines = log_reading.lines_after(allocation, after) if allocation else iter(())
    wanted = log_reading.contains(query["search"]) if "search" in query else None
    if query["format"] == "text":
        return text_answer(lines)
    page = log_reading.page(lines, PAGE_LINES, wanted)
    state = allocation.log_state if allocation else "none"
    answer = {"results": page.lines, "next_after": page.last or after, "state": state}
    return Response(LogSerializer(answer).data)


def _after(allocation: Allocation, query: dict[str, Any]) -> int:
    after: int = query.get("after", 0)
    last = log_reading.last_seq(allocation) if query.keys() & {"tail", "at"} else 0
    if "tail" in query:
        after = max(after, last - query["tail"])
    if "at" in query:
        after = max(after, (log_reading.first_since(allocation, query["at"]) or last + 1) - 1)
    return after


def text_answer(lines: Iterator[Line], file_name: str = "") -> StreamingHttpResponse:
    """As the program wrote it, and inert: whatever that was, no browser runs it."""
    text = (f"{line.text}\r" if line.returned else f"{line.text}\n" for line in lines)
    response = StreamingHttpResponse(_pieces(text), content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    if file_name:
        response["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response


def _pieces(texts: Iterator[str]) -> Iterator[str]:
    """Every piece of an answer passes three processes: a line alone would cost more on its way than to read it."""
    while piece := "".join(islice(texts, PAGE_LINES)):
        yield piece


class PointSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    value = serializers.FloatField()


class SeriesSerializer(serializers.Serializer[Any]):
    unit = serializers.CharField(help_text="`cores`, `bytes` or `devices`.")
    reserved = serializers.FloatField()
    points = PointSerializer(many=True)


class MetricsSerializer(serializers.Serializer[Any]):
    """Used against reserved, in the last hour it had. `gpu` is null where none is reserved; all are before a start."""

    cpu = SeriesSerializer(allow_null=True)
    memory = SeriesSerializer(allow_null=True)
    gpu = SeriesSerializer(allow_null=True)


def metrics_answer(allocation: Allocation | None) -> dict[str, Any]:
    """Shape of MetricsSerializer, unserialised."""
    if allocation is None:
        return {"cpu": None, "memory": None, "gpu": None}
    samples = series.since(allocation, (allocation.ended_at or clock.now()) - WINDOW)
    cpu = [{"at": sample.at, "value": sample.cpu} for sample in samples]
    memory = [{"at": sample.at, "value": sample.memory} for sample in samples]
    gpu = [{"at": sample.at, "value": sample.gpu} for sample in samples if sample.gpu is not None]
    return {
        "cpu": {"unit": "cores", "reserved": allocation.cpu, "points": cpu},
        "memory": {"unit": "bytes", "reserved": allocation.memory, "points": memory},
        "gpu": {"unit": "devices", "reserved": allocation.gpu_count, "points": gpu} if allocation.gpu_count else None,
    }
