"""What a job said of itself, as series that stay small."""

from typing import Any

from django.db.models import Count, F, Window
from django.db.models.functions import DenseRank, RowNumber
from rest_framework import serializers

from jobs.models import Attempt, Job, Scalar
from portal.compute.answers import MetricsSerializer, metrics_answer
from portal.compute.series import POINTS

MOST_NAMES = 100


class ScalarPointSerializer(serializers.Serializer[Any]):
    attempt = serializers.IntegerField()
    step = serializers.IntegerField()
    value = serializers.FloatField()


class ScalarSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    points = ScalarPointSerializer(many=True)


class JobMetricsSerializer(MetricsSerializer):
    """CPU and memory of one attempt; what all attempts said of themselves, thinned, the last value always there."""

    scalars = ScalarSerializer(many=True)


def job_metrics(job: Job, attempt: Attempt | None) -> dict[str, Any]:
    """Shape of JobMetricsSerializer, unserialised."""
    return metrics_answer(attempt.allocation if attempt else None) | {"scalars": scalars(job)}


def scalars(job: Job, most_names: int = MOST_NAMES) -> list[dict[str, Any]]:
    """The first so many by name, each with at most POINTS points in the order they were told, the last always there."""
    newest_first = [F("attempt__number").desc(), F("seq").desc()]
    rows = Scalar.objects.filter(job=job).annotate(
        rank=Window(DenseRank(), order_by="name"),
        place=Window(RowNumber(), partition_by=F("name"), order_by=newest_first) - 1,
        every=(Window(Count("*"), partition_by=F("name")) - 1) / POINTS + 1,
    )
    kept = rows.annotate(rest=F("place") % F("every")).filter(rank__lte=most_names, rest=0)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, attempt, step, value in kept.order_by("name", "attempt__number", "seq").values_list(
        "name", "attempt__number", "step", "value"
    ):
        found.setdefault(name, []).append({"attempt": attempt, "step": step, "value": value})
    return [{"name": name, "points": points} for name, points in found.items()]
