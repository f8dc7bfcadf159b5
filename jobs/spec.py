"""What an attempt runs, as compute keeps it, and the script it begins with."""

import json
from typing import Any

from django.conf import settings

from environments import volumes
from environments.mounts import mount, mounts_for
from environments.spec import as_text
from environments.states import TemplateKind
from jobs import model_use
from jobs.checks import PARAMETER
from jobs.models import Job
from runtimes.base import FILES

CODE, OUTPUTS, CHECKPOINTS = "code", "outputs", "checkpoints"
"""Folders of a job's volume; `code` is the working folder."""
SCRIPT = f"{FILES}/job"
SOURCE = f"{FILES}/source"
HOME = "/home/berth"
OWN_HOME = "/data/home"
"""Where a job finds its owner's home, read-only."""
SNAPSHOT = "/data/.snapshot"
"""Where the code that it copies first lies, read-only; no dataset can be called so."""

NO_CODE = 66
"""The exit code of an attempt that could not fetch its code."""

_FETCH = r"""# What every attempt does: find or fetch the code, then run the command and end as it ends.
set -e
cd ~
mkdir -p outputs checkpoints
if [ -r "$BERTH_FILES/source" ] && [ ! -e code ]; then
    { IFS= read -r url; IFS= read -r ref || true; } < "$BERTH_FILES/source"
    rm -rf .cloning
    echo "git: cloning $(printf %s "$url" | sed 's#//[^/@]*@#//#')" >&2
    export GIT_TERMINAL_PROMPT=0
    if ! git clone --quiet -- "$url" .cloning </dev/null; then
        echo "git: the repository could not be cloned; the reason is above" >&2
        exit 66
    fi
    if [ -n "$ref" ] && ! git -C .cloning checkout --quiet "$ref" --; then
        echo "git: there is no branch, tag or commit $ref in it" >&2
        exit 66
    fi
    echo "::commit $(git -C .cloning rev-parse HEAD)::"
    mv .cloning code
fi
for copied in /data/.snapshot/code ~/.snapshot/code; do
    if [ -d "$copied" ] && [ ! -e code ]; then
        rm -rf .copying
        cp -a "$copied" .copying
        mv .copying code
    fi
done
mkdir -p code
cd code
"""
BEGIN = (
    _FETCH
    + r"""exec 3>&2 2>/dev/null
set +e -m
"$@" </dev/null 2>&3 3>&- &
command=$!
set +m
trap 'kill -TERM -- "-$command"' TERM
while wait "$command"; kill -0 "$command"; do :; done
wait "$command"
exit $?
"""
)
"""The command comes as "$@". It leads a process group of its own, so that all of a script hears when it shall end. What
bash says of jobs of its own is not the command's, so nobody reads it."""
BEGIN_ANYWHERE = f"""[ ! -r "$BERTH_FILES/environment" ] || . "$BERTH_FILES/environment"
{_FETCH}exec "$@"
"""
"""The same for an image that knows nothing of Berth: it needs no more than sh, cp, and git for a repository."""


def spec_of(job: Job, number: int) -> dict[str, Any]:
    """Made anew for each attempt, without secrets; the image's digest is filled in when it is on the node."""
    version = job.version
    return {
        "template": version.template_id,
        "version": version.version,
        "image": version.image.digest,
        "image_name": version.image_id,
        **(_anywhere(job) if job.version.image.named else _in_template(job)),
        "environment": _set(job) | job.environment | _told(job, number),
        "port": None,
        "knows_host": bool(settings.SERVICES_PORT),
        "grace_seconds": job.grace_seconds,
        "mounts": [
            *mounts_for(job.owner, job.volume, job.datasets.all()),
            mount(volumes.home_of(job.owner), OWN_HOME, read_only=True),
            *([mount(job.snapshot.volume, SNAPSHOT, read_only=True)] if job.snapshot else []),
            *model_use.mounts_of(job),
        ],
    }


def _in_template(job: Job) -> dict[str, Any]:
    return {"command": ["bash", "-c", '. "$BERTH_FILES/job"', "job", *_command(job)]}


def _anywhere(job: Job) -> dict[str, Any]:
    """Of an image that knows nothing of Berth: the command by itself, unless there is something to fetch before."""
    beside = [f"{HOME}/{OUTPUTS}", f"{HOME}/{CHECKPOINTS}"]
    if job.git_url or job.snapshot or job.secrets.exists():
        return {"command": ["sh", "-c", '. "$BERTH_FILES/job"', "job", *_command(job)], "folders": [HOME, *beside]}
    return {"command": _command(job), "folders": [f"{HOME}/{CODE}", *beside]}


def _set(job: Job) -> dict[str, str]:
    """Variables that do not come from who submits it. No image but ours knows the user that it runs as."""
    if job.version.image.named:
        return {"HOME": HOME, "USER": "berth", "LOGNAME": "berth"}
    set_by_version: dict[str, str] = job.version.environment
    return set_by_version if job.version.template.kind == TemplateKind.JOB else {}


def _command(job: Job) -> list[str]:
    return [filled(part, job) for part in job.command]


def _told(job: Job, number: int) -> dict[str, str]:
    """What a program can learn of its job."""
    return {
        "BERTH_JOB": job.pk,
        "BERTH_ATTEMPT": str(number),
        "BERTH_OUTPUTS": f"{HOME}/{OUTPUTS}",
        "BERTH_CHECKPOINTS": f"{HOME}/{CHECKPOINTS}",
        "BERTH_PARAMETERS": json.dumps(job.parameters),
        "PYTHONUNBUFFERED": job.environment.get("PYTHONUNBUFFERED", "1"),
    }


def filled(text: str, job: Job) -> str:
    """`{parameters.x}` replaced by its value."""
    return PARAMETER.sub(lambda found: as_text(job.parameters[found[1]]), text)


def files_of(job: Job) -> dict[str, bytes]:
    """What the script reads; secrets come beside it (see owner.py)."""
    source = {SOURCE: f"{job.git_url}\n{job.git_commit or job.git_ref}\n".encode()} if job.git_url else {}
    begin = BEGIN_ANYWHERE if job.version.image.named else BEGIN
    return {SCRIPT: begin.encode(), **source}
