"""Names of the secrets, datasets and other places that workspaces were given."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Value

from environments.models import Workspace


@dataclass(frozen=True, slots=True)
class Chosen:
    """Names, in order."""

    secrets: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)


def chosen_by_workspace(workspaces: Sequence[Workspace]) -> dict[str, Chosen]:
    """With one query for both."""
    secrets = Workspace.secrets.through.objects.filter(workspace__in=workspaces)
    datasets = Workspace.datasets.through.objects.filter(workspace__in=workspaces)
    rows = secrets.values_list("workspace_id", "secret__name", Value(True)).union(
        datasets.values_list("workspace_id", "dataset_id", Value(False))
    )
    found: dict[str, Chosen] = defaultdict(Chosen)
    for pk, name, is_secret in sorted(rows):
        (found[pk].secrets if is_secret else found[pk].volumes).append(name)
    for workspace in workspaces:
        found[workspace.pk].volumes.extend(workspace.places)
    return found
