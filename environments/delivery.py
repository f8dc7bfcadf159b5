"""What reaches a workspace's container at its start as files: the secrets chosen for it, and what to clone."""

import shlex
from collections.abc import Iterable, Iterator

from environments.models import Workspace
from portal.accounts import vault
from portal.accounts.access import usable_secrets
from portal.accounts.models import Secret, SecretKind
from portal.compute.owners import Undeliverable
from portal.lib.sealing import Unreadable
from runtimes.base import FILES, VARIABLES

SECRETS = f"{FILES}/secrets"
REPOSITORY = f"{FILES}/git"


def files_for(workspace: Workspace) -> dict[str, bytes]:
    """By path; empty when there is nothing to deliver. Raises Undeliverable."""
    found = secret_files(usable_secrets(workspace.owner, workspace.team).filter(workspaces=workspace))
    url, ref = repository_of(workspace)
    if url:
        found[REPOSITORY] = f"{url}\n{ref}\n".encode()
    return found


def secret_files(chosen: Iterable[Secret]) -> dict[str, bytes]:
    """Each secret as a file; those that are variables also in the script that sets them. Raises Undeliverable."""
    values = {secret: _value_of(secret) for secret in chosen}
    found = {f"{SECRETS}/{secret.name}": value for secret, value in values.items()}
    if script := "".join(_exports(values)):
        found[VARIABLES] = script.encode()
    return found


def hidden_from_log(secrets: Iterable[Secret]) -> list[str]:
    """All that may have been given. What cannot be read now was not delivered either."""
    found = []
    for secret in secrets:
        try:
            found.append(vault.value_of(secret).decode())
        except Unreadable:
            continue
    return found


def repository_of(workspace: Workspace) -> tuple[str, str]:
    """Address, and branch, tag or commit; both may be empty."""
    return workspace.git_url, workspace.git_ref


def _value_of(secret: Secret) -> bytes:
    try:
        return vault.value_of(secret)
    except Unreadable:
        raise Undeliverable(
            f"The secret {secret.name} cannot be read any more. Replace it on the page Secrets, then start again."
        ) from None


def _exports(values: dict[Secret, bytes]) -> Iterator[str]:
    """Lines of a shell script; git is told of the SSH keys."""
    for secret, value in values.items():
        if secret.variable:
            yield f"export {secret.name}={shlex.quote(value.decode())}\n"
    keys = [secret.name for secret in values if secret.kind == SecretKind.SSH_KEY]
    if keys:
        named = " ".join(f"-i '$BERTH_FILES/secrets/{name}'" for name in keys)
        options = "-o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new"
        yield f'export GIT_SSH_COMMAND="ssh {named} {options}"\n'
