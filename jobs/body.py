"""What a caller sends to submit a job, in JSON or YAML, and the Submission that it asks for."""

from dataclasses import fields
from typing import Any

from rest_framework import serializers

from environments.checks import MOST_SECRETS
from environments.image_references import EXAMPLE, REFERENCE_LENGTH
from environments.repositories import REF_LENGTH, URL_LENGTH
from jobs import checks, dependencies, model_names, model_use
from jobs.plan_states import AfterCondition
from jobs.states import Priority, Then
from jobs.submission import Submission
from portal.lib.rest import ClosedSerializer, Text
from portal.usage import projects

MOST_NAMED = 50
NESTED = {"git": {"url": "git_url", "ref": "git_ref"}, "model": {"name": "keep_as", "path": "keep_path"}}
"""Fields of a Submission that stand inside another in a body."""


class QuotedText(Text):
    """Where people easily write a number."""

    default_error_messages = {"invalid": "Write this as text, in quotes."}


class SourceSerializer(ClosedSerializer):
    url = Text(max_length=URL_LENGTH, help_text="`https://…`, `ssh://…` or `git@host:path`, without a password.")
    ref = Text(required=False, allow_blank=True, max_length=REF_LENGTH, help_text="Branch, tag or commit.")


class KeepSerializer(ClosedSerializer):
    name = Text(max_length=model_names.LENGTH, help_text="Of a model of the team that pays, new or known.")
    path = Text(max_length=500, help_text="Of an artifact or a folder of them, such as `outputs/model.pkl`.")


class RetryRuleSerializer(ClosedSerializer):
    """All that it names must fit how the attempt ended."""

    exit_codes = serializers.ListField(
        required=False, max_length=256, child=serializers.IntegerField(min_value=0, max_value=255)
    )
    log_contains = Text(
        required=False, max_length=200, trim_whitespace=False, help_text="Looked for in the last 1,000 lines."
    )
    reason = serializers.ChoiceField([(reason.value, reason.label) for reason in checks.REASONS], required=False)
    then = serializers.ChoiceField(Then.choices)


class NewJobSerializer(ClosedSerializer):
    name = Text(required=False, allow_blank=True, max_length=checks.NAME_LENGTH, help_text="Made from the command.")
    template = Text(
        required=False,
        allow_null=True,
        max_length=60,
        help_text="Slug of a template; not needed with `image` or `workspace`.",
    )
    version = Text(required=False, allow_null=True, max_length=40, help_text="The newest, if not given.")
    image = Text(
        required=False,
        allow_null=True,
        max_length=REFERENCE_LENGTH,
        help_text=f"In place of a template: an image that the catalog allows, such as `{EXAMPLE}`, by tag or digest.",
    )
    size = Text(required=False, allow_null=True, max_length=40, help_text="The template's default, if not given.")
    team = Text(required=False, allow_null=True, max_length=50, help_text="Who pays: your first team, if not given.")
    project = QuotedText(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=projects.LENGTH,
        help_text=f"What its cost is for, such as `{projects.EXAMPLE}`; its workspace's, if not given.",
    )
    command = serializers.ListField(
        child=QuotedText(allow_blank=True, trim_whitespace=False),
        max_length=checks.COMMAND_PARTS,
        help_text="Program and arguments; no shell in between. `{parameters.x}` is replaced by the parameter `x`.",
    )
    parameters = serializers.DictField(required=False, help_text="Texts, numbers, true or false, by name.")
    env = serializers.DictField(
        required=False,
        child=QuotedText(allow_blank=True, trim_whitespace=False),
        help_text="Environment variables.",
    )
    secrets = serializers.ListField(
        required=False,
        max_length=MOST_SECRETS,
        child=Text(max_length=100),
        help_text="Names of secrets of yours or of the team that pays.",
    )
    git = SourceSerializer(required=False, help_text="Cloned into the working folder before the command runs.")
    workspace = Text(
        required=False,
        allow_null=True,
        max_length=40,
        help_text="Id of a workspace of yours, whose environment it shall have.",
    )
    folder = Text(
        required=False,
        allow_blank=True,
        max_length=500,
        help_text="Of your home, `.` for all of it, or an archive in it (.zip, .tar, .tar.gz, .tgz) to be unpacked: "
        "copied as it is now. With a workspace and no code, all of it.",
    )
    code_of = Text(
        required=False,
        allow_null=True,
        max_length=40,
        help_text="Id of a job that you may run again: the copy of a folder that it began with.",
    )
    inputs = serializers.ListField(
        required=False,
        max_length=MOST_NAMED,
        child=Text(max_length=60),
        help_text="Names of datasets to mount read-only at `/data/<name>`.",
    )
    models = serializers.ListField(
        required=False,
        max_length=model_use.MOST,
        child=Text(max_length=model_names.REFERENCE_LENGTH),
        help_text="Such as `churn-model:7`, or `churn-model:latest`, read-only at `/data/models/<name>-<number>`.",
    )
    outputs = serializers.ListField(
        required=False,
        max_length=checks.MOST_OUTPUTS,
        child=Text(allow_blank=True, trim_whitespace=False, max_length=500),
        help_text="Paths whose files are kept as artifacts; `outputs`, if not given.",
    )
    model = KeepSerializer(required=False, help_text="What becomes a version of a model when it has succeeded.")
    max_duration_seconds = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=checks.LONGEST_SECONDS,
        help_text="Of one attempt; no limit, if not given.",
    )
    grace_seconds = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=checks.LONGEST_GRACE,
        help_text="Between SIGTERM and SIGKILL; 30, if not given.",
    )
    retries = serializers.IntegerField(required=False, min_value=0, max_value=checks.MOST_RETRIES)
    retry_delay_seconds = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=checks.LONGEST_RETRY_DELAY,
        help_text="Before the first retry, doubled for each one after it; 10, if not given.",
    )
    retry_rules = serializers.ListField(
        required=False,
        max_length=checks.MOST_RULES,
        child=RetryRuleSerializer(),
        help_text="What may be tried again; the first rule that fits decides.",
    )
    priority = serializers.ChoiceField(Priority.choices, required=False)
    after = serializers.ListField(
        required=False,
        max_length=dependencies.MOST,
        child=Text(max_length=40),
        help_text="Ids of jobs that it waits for. They exist already, so jobs never wait in a circle.",
    )
    after_condition = serializers.ChoiceField(
        AfterCondition.choices, required=False, help_text="What it waits for; `all_succeeded`, if not given."
    )


def submission_in(values: dict[str, Any]) -> Submission:
    """What the values of a NewJobSerializer ask for."""
    flat = {name: value for name, value in values.items() if name not in NESTED}
    for name, parts in NESTED.items():
        flat |= {parts[part]: value for part, value in values.get(name, {}).items()}
    return Submission(**flat)


def values_of(asked: Submission) -> dict[str, Any]:
    """The shortest body that asks for it, its fields in the order of NewJobSerializer."""
    default = Submission(command=())
    given = {
        field.name: value
        for field in fields(asked)
        if _plain(value := getattr(asked, field.name)) != _plain(getattr(default, field.name))
    }
    for name, parts in NESTED.items():
        if nested := {part: given.pop(field) for part, field in parts.items() if field in given}:
            given[name] = nested
    return {name: _plain(given[name]) for name in NewJobSerializer().get_fields() if name in given}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
