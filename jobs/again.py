"""A job as the submission that would make it again."""

from jobs.model_use import references
from jobs.models import Job
from jobs.submission import Submission
from portal.accounts.models import User


def submission_of(job: Job, by: User | None = None) -> Submission:
    """For `by`, or its owner. Pinned to what ran: the version, the digest of an image where it was pulled, the commit
    where it is known, the copy of its code.

    A copy that never was made has nothing to repeat: then its owner is asked for the folder again.
    """
    own = by is None or by.pk == job.owner_id
    workspace = job.workspace if own and job.workspace and not job.workspace.deleted_at else None
    like = workspace is not None and workspace.version.template_id == job.version.template_id
    named = job.version.image.named
    anew = own and job.code_never_came
    copied = job.snapshot is not None and not anew
    return Submission(
        command=list(job.command),
        template=None if like or named else job.version.template_id,
        version=None if named else job.version.version,
        image=named or None,
        size=job.size_id,
        team=job.team.slug,
        project=job.project,
        name=job.name,
        parameters=dict(job.parameters),
        env=dict(job.environment),
        secrets=list(job.secrets.values_list("name", flat=True)),
        git_url=job.git_url,
        git_ref=job.git_commit or job.git_ref,
        workspace=workspace.pk if workspace else None,
        folder=job.folder or "." if anew else "",
        code_of=job.pk if copied else None,
        inputs=list(job.datasets.values_list("name", flat=True)),
        models=references(job),
        outputs=list(job.outputs),
        keep_as=job.keep_as,
        keep_path=job.keep_path,
        max_duration_seconds=job.max_duration_seconds,
        grace_seconds=job.grace_seconds,
        retries=job.retries,
        retry_delay_seconds=job.retry_delay_seconds,
        retry_rules=list(job.retry_rules),
        priority=job.priority,
    )


def image_kept(job: Job) -> str:
    """Which image runs again, as a sentence, where a tag might mean another one by now; else empty."""
    tag, _, digest = job.version.image.named.partition("@")
    if not digest or not job.version.image.tag:
        return ""
    return (
        f"It runs the image that {tag} meant before, {digest[:19]}. For what it means now, press “Change and run” and "
        "leave out the digest."
    )
