"""What the API says of anything that holds compute: its log and its use, and their shapes."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.response import Response

from portal.compute import logs, series
from portal.compute.models import Allocation, LogChunk
from portal.lib import clock

PAGE_LINES = 1000
MOST_TAIL = 10_000
LARGEST_SEQ = 2**53
WINDOW = timedelta(hours=1)
LOG_STATES = [
    ("none", "Never started"),
    ("open", "More may come"),
    ("complete", "All of it is here"),
    ("truncated", "Its end is missing"),
    ("lost", "It is lost"),
]


class LogQuery(serializers.Serializer[Any]):
    after = serializers.IntegerField(
        required=False, min_value=0, max_value=LARGEST_SEQ, help_text="Only lines with a higher number."
    )
    tail = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_TAIL, help_text="Only the last so many lines."
    )
    format = serializers.ChoiceField(["json", "text"], default="json", help_text="`text`: all of it, the lines alone.")


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
    after = query.get("after", 0)
    if allocation is not None and "tail" in query:
        after = max(after, _last_seq(allocation) - query["tail"])
    lines = logs.lines_after(allocation, after) if allocation else iter(())
    if query["format"] == "text":
        return _plain(lines)
    page = list(islice(lines, PAGE_LINES))
    state = allocation.log_state if allocation else "none"
    answer = {"results": page, "next_after": page[-1].seq if page else after, "state": state}
    return Response(LogSerializer(answer).data)


def _last_seq(allocation: Allocation) -> int:
    last = LogChunk.objects.filter(allocation=allocation).order_by("-last_seq").first()
    return last.last_seq if last else 0


def _plain(lines: Iterator[logs.Line]) -> StreamingHttpResponse:
    """Inert: whatever a program wrote, no browser runs it."""
    text = (f"{line.text}\n" for line in lines)
    response = StreamingHttpResponse(text, content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


class PointSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    value = serializers.FloatField()


class SeriesSerializer(serializers.Serializer[Any]):
    unit = serializers.CharField(help_text="`cores` or `bytes`.")
    reserved = serializers.FloatField()
    points = PointSerializer(many=True)


class MetricsSerializer(serializers.Serializer[Any]):
    """Used against reserved, over the last hour. `gpu` is null where no GPU is reserved; so are all before a start."""

    cpu = SeriesSerializer(allow_null=True)
    memory = SeriesSerializer(allow_null=True)
    gpu = SeriesSerializer(allow_null=True)


def metrics_answer(allocation: Allocation | None) -> dict[str, Any]:
    """Shape of MetricsSerializer, unserialised."""
    if allocation is None:
        return {"cpu": None, "memory": None, "gpu": None}
    samples = series.since(allocation, clock.now() - WINDOW)
    cpu = [{"at": sample.at, "value": sample.cpu} for sample in samples]
    memory = [{"at": sample.at, "value": sample.memory} for sample in samples]
    return {
        "cpu": {"unit": "cores", "reserved": allocation.cpu, "points": cpu},
        "memory": {"unit": "bytes", "reserved": allocation.memory, "points": memory},
        "gpu": None,
    }
