"""What the API asks and says of models: plain values, gathered with a fixed number of queries."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, Max, Q
from rest_framework import serializers

from jobs import data_use, model_names, registry
from jobs.model_models import Model, ModelVersion
from jobs.model_states import VersionState
from jobs.model_use import references
from jobs.models import Job
from portal.lib.rest import ClosedSerializer, Text

MOST_USERS = 50
PATH = "`path` of an artifact, or a folder of artifacts."


class NewVersionSerializer(ClosedSerializer):
    job = Text(max_length=40, help_text="Id of a job that is over, and whose artifacts you may read.")
    path = Text(max_length=2000, help_text=PATH)
    note = Text(required=False, allow_blank=True, max_length=registry.NOTE_LENGTH)


class NewModelSerializer(NewVersionSerializer):
    name = Text(max_length=model_names.LENGTH, help_text="Small letters, digits and hyphens; its team is the job's.")


class ModelSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    team = serializers.CharField(source="team.slug")
    created_by = serializers.CharField(source="created_by.username")
    created_at = serializers.DateTimeField()
    versions = serializers.IntegerField(source="count", help_text="Without deleted ones.")
    latest = serializers.IntegerField(allow_null=True, help_text="The newest version that is ready.")
    url = serializers.SerializerMethodField()

    def get_url(self, model: Model) -> str:
        return f"{settings.PORTAL_URL}{model.get_absolute_url()}"


class LineageSerializer(serializers.Serializer[Any]):
    """What made it."""

    git_url = serializers.CharField()
    git_commit = serializers.CharField()
    code_hash = serializers.CharField()
    parameters = serializers.DictField()
    inputs = serializers.SerializerMethodField(help_text="Names of datasets.")
    input_versions = serializers.SerializerMethodField(help_text="What it found of them, such as `iris:7`.")
    models = serializers.SerializerMethodField(help_text="Versions of models it used.")

    def get_inputs(self, job: Job) -> list[str]:
        return sorted(dataset.name for dataset in job.datasets.all())

    def get_input_versions(self, job: Job) -> list[str]:
        return list(map(str, data_use.found_by(job)))

    def get_models(self, job: Job) -> list[str]:
        return references(job)


class ModelVersionSerializer(serializers.Serializer[Any]):
    """One version of a model."""

    model = serializers.CharField(source="model.name")
    team = serializers.CharField(source="model.team.slug")
    number = serializers.IntegerField()
    reference = serializers.CharField(source="__str__", help_text="What a job names it by, such as `churn-model:7`.")
    state = serializers.ChoiceField(VersionState.choices)
    message = serializers.CharField(help_text="Why it could not be kept.")
    job = serializers.CharField(source="job_id")
    path = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    files = serializers.IntegerField(help_text="How many.")
    sha256 = serializers.CharField(help_text="Of the file; of a folder, over the paths and sha256 of its files.")
    metrics = serializers.DictField(help_text="The last value of each metric of the job.")
    note = serializers.CharField()
    created_by = serializers.CharField(source="created_by.username")
    created_at = serializers.DateTimeField()
    download_url = serializers.SerializerMethodField(help_text="A file, or a folder as a zip; null if it is not ready.")

    def get_download_url(self, version: ModelVersion) -> str | None:
        if not version.usable:
            return None
        query = urlencode({"team": version.model.team.slug})
        base = f"{settings.PORTAL_URL}/api/v1/models/{version.model.name}/versions/{version.number}"
        return f"{base}/download/?{query}"


class WholeVersionSerializer(ModelVersionSerializer):
    lineage = LineageSerializer(source="job")
    used_by = serializers.SerializerMethodField(help_text=f"Ids of the latest {MOST_USERS} jobs that had it.")

    def get_used_by(self, version: ModelVersion) -> list[str]:
        return list(version.users.order_by("-pk").values_list("pk", flat=True)[:MOST_USERS])


def counted(models: Sequence[Model]) -> Sequence[Model]:
    """With `count` and `latest`, as ModelSerializer shows them; one query."""
    rows = ModelVersion.objects.filter(model__in=models).order_by().values_list("model")
    numbers = rows.annotate(
        count=Count("pk", filter=Q(deleted_at=None)), latest=Max("number", filter=Q(state=VersionState.READY))
    )
    found = {pk: (count, latest) for pk, count, latest in numbers}
    for model in models:
        model.count, model.latest = found.get(model.pk, (0, None))  # type: ignore[attr-defined]
    return models
