"""The entry point of the standard environments, in real containers: variables are set, and a repository is cloned."""

import subprocess
from collections.abc import Callable
from itertools import count

import pytest

from runtimes.base import FILES, Mount, Spec
from runtimes.docker import DockerRuntime
from tests import base_images
from tests.contract.names import INSTANCE, MakeSpec

pytestmark = pytest.mark.docker

ORIGIN = """
set -e
cd /home/berth
git init --quiet --initial-branch=main work
cd work
git config user.name Vera
git config user.email vera@example.org
echo one > file; git add file; git commit --quiet -m first; git tag first
echo two > file; git commit --quiet -am second
git checkout --quiet -b dev; echo dev > file; git commit --quiet -am third; git checkout --quiet main
git clone --quiet --bare . ../study.git
cd ../study.git; git update-server-info
"""
FAKE_SSH = """#!/bin/sh
echo "ssh: $*" >&2
for last; do :; done
exec sh -c "$last"
"""
Run = Callable[..., list[str]]
_numbers = count(1)


@pytest.fixture(scope="session")
def base_image() -> str:
    return base_images.standard("base").id


@pytest.fixture
def home() -> str:
    """Removed with all that these tests made, when they are over."""
    return f"{INSTANCE}-home-{next(_numbers)}"


@pytest.fixture
def spec(docker_runtime: DockerRuntime, make_spec: MakeSpec, base_image: str, home: str) -> Callable[..., Spec]:
    def make(script: str, **files: bytes) -> Spec:
        return make_spec(
            docker_runtime,
            image=base_image,
            command=("sh", "-c", script),
            mounts=(Mount(home, "/home/berth"),),
            files={f"{FILES}/{name}": content for name, content in files.items()},
        )

    return make


@pytest.fixture
def run(docker_runtime: DockerRuntime, spec: Callable[..., Spec]) -> Run:
    """The lines that a container of the base image prints until it ends."""

    def lines(script: str, **files: bytes) -> list[str]:
        made = spec(script, **files)
        docker_runtime.ensure(made)
        found = [line.text for line in docker_runtime.logs(made.name, None, follow=True)]
        docker_runtime.remove(made.name)
        return found

    return lines


@pytest.fixture
def clone(run: Run) -> Callable[..., list[str]]:
    """What the log shows of a clone that the entry point begins, and then of `after`."""

    def lines(address: str, ref: str = "", after: str = "true", **files: bytes) -> list[str]:
        begun = "^/bin/sh /opt/berth/enter|[/]opt/berth/clone /"  # brackets, so that it is not found itself
        script = f"while pgrep -f '{begun}' >/dev/null; do sleep 0.1; done; {after}"
        return run(script, git=f"{address}\n{ref}\n".encode(), **files)

    return lines


def test_variables_are_set_before_the_command_starts(run: Run) -> None:
    printed = run("""echo "$TOKEN"; exec python3 -c 'import os; print(os.environ["TOKEN"])'""", environment=SCRIPT)
    assert printed == ["it's $5", "it's $5"]


SCRIPT = b"export TOKEN='it'\"'\"'s $5'\n"


def test_without_files_it_is_the_command_and_nothing_more(run: Run) -> None:
    assert run('echo "pid $$"; pgrep -c clone; exit 0')[-1] == "0"


def test_a_shell_from_outside_has_the_variables_too(docker_runtime: DockerRuntime, spec: Callable[..., Spec]) -> None:
    made = spec("sleep 600", environment=SCRIPT)
    docker_runtime.ensure(made)
    command = ["docker", "exec", made.name, "bash", "-lc", 'echo "$TOKEN in $BERTH_FILES"']
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "it's $5 in /run/berth\n"


def test_the_command_ends_with_its_own_code(docker_runtime: DockerRuntime, spec: Callable[..., Spec]) -> None:
    made = spec("exit 7", environment=SCRIPT, git=b"/home/berth/nothing.git\n\n")
    docker_runtime.ensure(made)
    list(docker_runtime.logs(made.name, None, follow=True))
    assert docker_runtime.inspect(made.name).exit_code == 7


@pytest.mark.parametrize(("ref", "content"), [("", "two"), ("dev", "dev"), ("first", "one")])
def test_a_repository_is_cloned_beside_the_command(run: Run, clone: Run, ref: str, content: str) -> None:
    run(ORIGIN)
    lines = clone("/home/berth/study.git", ref, after="cat study/file; ls -A | grep cloning; stat -c %U study")
    at = f", at {ref}" if ref else ""
    assert lines[0] == "git: cloning /home/berth/study.git into ~/study"
    assert lines[-3:] == [f"git: /home/berth/study.git is in ~/study{at}", content, "berth"]


def test_a_commit_can_be_named(run: Run, clone: Run) -> None:
    [commit] = run(f"({ORIGIN}) >/dev/null; git -C study.git rev-parse first")
    assert clone("/home/berth/study.git", commit, after="cat study/file")[-1] == "one"


def test_what_is_there_already_is_left_alone(run: Run, clone: Run) -> None:
    run(f"{ORIGIN}\nmkdir ~/study; echo mine > ~/study/file")
    lines = clone("/home/berth/study.git", after="cat study/file; ls study")
    assert lines == ["git: ~/study is there already and was left as it is", "mine", "file"]


def test_what_an_interrupted_clone_left_is_in_nobodys_way(run: Run, clone: Run) -> None:
    run(f"{ORIGIN}\nmkdir -p ~/.study.cloning/study/.git")
    assert clone("/home/berth/study.git", after="cat study/file")[-1] == "two"


@pytest.mark.parametrize(
    ("address", "ref", "reason"),
    [
        ("/home/berth/nothing.git", "", "does not exist"),
        ("/home/berth/study.git", "nowhere", "nowhere"),
        ("https://nowhere.invalid/a/study.git", "", "its server has no address here"),
        ("https://vera:hunter2@nowhere.invalid/study.git", "", "its server has no address here"),
        ("--upload-pack=evil/study", "", "not the address of a repository"),
        ("/home/berth/study.git", "--evil", "not the address of a repository"),
        ("ext::sh -c evil% study", "", "not allowed"),
    ],
)
def test_a_failure_says_why_and_leaves_nothing(run: Run, clone: Run, address: str, ref: str, reason: str) -> None:
    run(ORIGIN)
    lines = clone(address, ref, after="ls -A | grep -v '^study.git$' | grep study; echo still here")
    assert lines[-1] == "still here"
    assert "was not cloned: " in lines[-2]
    assert reason in lines[-2]
    assert "hunter2" not in "".join(lines)


def test_over_http_too(run: Run) -> None:
    run(ORIGIN)
    script = "python3 -m http.server 8100 2>/dev/null & sleep 1; /opt/berth/clone $BERTH_FILES/address; cat study/file"
    lines = run(script, address=b"http://127.0.0.1:8100/study.git\n\n")
    assert lines[-2:] == ["git: http://127.0.0.1:8100/study.git is in ~/study", "two"]


def test_over_ssh_with_the_keys_that_were_delivered(run: Run, clone: Run) -> None:
    run(f"({ORIGIN}) && mkdir -p .local/bin && cat > .local/bin/ssh <<'END'\n{FAKE_SSH}END\nchmod +x .local/bin/ssh")
    keys = b"export GIT_SSH_COMMAND=\"ssh -i '$BERTH_FILES/secrets/DEPLOY' -o IdentitiesOnly=yes\"\n"
    lines = clone("git@example.org:/home/berth/study.git", environment=keys, after="cat study/file")
    assert lines[-2:] == ["git: git@example.org:/home/berth/study.git is in ~/study", "two"]


def test_two_workspaces_with_one_home_do_not_clone_over_each_other(run: Run, clone: Run) -> None:
    run(f"{ORIGIN}\nmkdir ~/.study.cloning")
    held = "exec 9< ~/.study.cloning; flock 9; /opt/berth/clone $BERTH_FILES/address"
    [line] = run(held, address=b"/home/berth/study.git\n\n")
    assert line.endswith("was not cloned: another workspace of yours is cloning it now")
