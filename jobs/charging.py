"""What people call the volumes of jobs and models, and whom they are charged to."""

from collections.abc import Collection

from django.db.models import F

from environments.files.charging import Charged
from jobs.model_models import ModelVersion
from jobs.models import Job
from portal.usage.storage import Payer


def charged(volume_ids: Collection[str]) -> dict[str, Charged]:
    """By id. Code that several jobs share is charged to the first of them."""
    jobs = Job.objects.select_related("team", "owner").order_by("pk")
    code = jobs.filter(snapshot__volume__in=volume_ids).annotate(its=F("snapshot__volume")).order_by("its", "pk")
    versions = ModelVersion.objects.filter(volume__in=volume_ids)
    return {
        **{job.volume_id: Charged(f"Files of {job.name}", _payer(job)) for job in jobs.filter(volume__in=volume_ids)},
        **{job.its: Charged(f"Code of {job.name}", _payer(job)) for job in code.distinct("its")},
        **{
            one.volume_id: Charged(f"Model {one}", Payer(one.model.team.slug, one.created_by.username, one.job.project))
            for one in versions.select_related("model__team", "created_by", "job")
        },
    }


def _payer(job: Job) -> Payer:
    return Payer(job.team.slug, job.owner.username, job.project)
