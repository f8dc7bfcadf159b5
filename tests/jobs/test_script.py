"""What every attempt begins with: it ends as the command ends, and adds nothing to what the command says."""

import os
import subprocess
from pathlib import Path

import pytest

from jobs.spec import BEGIN


@pytest.mark.parametrize("code", [0, 3])
def test_it_ends_as_the_command_ends_and_says_nothing_of_its_own(tmp_path: Path, code: int) -> None:
    (tmp_path / "job").write_text(BEGIN)
    begin = ["bash", "-c", '. "$BERTH_FILES/job"', "job", "bash", "-c", f"pwd; exit {code}"]
    environment = os.environ | {"HOME": str(tmp_path), "BERTH_FILES": str(tmp_path)}
    done = subprocess.run(begin, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, f"{tmp_path}/code\n", "")


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["echo", "once"], 0, ("once\n", "")),
        (["bash", "-c", "echo wrong >&2; exit 3"], 3, ("", "wrong\n")),
        (["bash", "-c", "kill -9 $$"], 137, ("", "")),
        (["bash", "-c", "echo 2>/dev/null >&3 || echo closed"], 0, ("closed\n", "")),
    ],
)
def test_of_a_short_command_nothing_is_said_but_what_it_says(
    tmp_path: Path, command: list[str], code: int, said: tuple[str, str]
) -> None:
    """It has ended before bash goes on, which reads in vain for a while."""
    os.mkfifo(tmp_path / "never")
    (tmp_path / "job").write_text(BEGIN.replace("command=$!\n", 'command=$!\nread -rt 0.1 <> "$HOME/never"\n'))
    begin = ["bash", "-c", '. "$BERTH_FILES/job"', "job", *command]
    environment = os.environ | {"HOME": str(tmp_path), "BERTH_FILES": str(tmp_path)}
    done = subprocess.run(begin, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, (done.stdout, done.stderr)) == (code, said)


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "job").write_text(BEGIN)
    begin = ["bash", "-c", '. "$BERTH_FILES/job"', "job", "nonsense"]
    environment = os.environ | {"HOME": str(tmp_path), "BERTH_FILES": str(tmp_path)}
    done = subprocess.run(begin, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert "nonsense: command not found" in done.stderr


def test_it_works_on_a_copy_of_the_snapshot_and_keeps_it_for_the_next_attempt(tmp_path: Path) -> None:
    kept = tmp_path / ".snapshot/code"
    kept.mkdir(parents=True)
    (kept / "run.sh").write_text("cat data; echo changed > data")
    (kept / "run.sh").chmod(0o755)
    (kept / "data").write_text("as it was\n")
    (kept / "link").symlink_to("data")
    (tmp_path / "job").write_text(BEGIN)
    begin = ["bash", "-c", '. "$BERTH_FILES/job"', "job", "bash", "-c", "bash ./run.sh; test -L link; test -x run.sh"]
    environment = os.environ | {"HOME": str(tmp_path), "BERTH_FILES": str(tmp_path)}
    for said in ("as it was\n", "changed\n"):
        done = subprocess.run(begin, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
    assert (kept / "data").read_text() == "as it was\n"
