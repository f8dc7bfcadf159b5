"""Making `.venv`: it never empties a folder that is not its own."""

import sys
from pathlib import Path

import pytest

from deploy import python_environment
from deploy.screen import Stopped


def test_a_link_to_another_environment_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    (other / "lib").mkdir(parents=True)
    (other / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).parent}\n")
    link = tmp_path / ".venv"
    link.symlink_to(other)
    monkeypatch.setattr(python_environment, "VENV", link)
    monkeypatch.setattr(python_environment, "STAMP", link / "installed")
    with pytest.raises(Stopped, match="is a link to"):
        python_environment.prepare(tmp_path / "setup.log")
    assert (other / "lib").is_dir()
    assert (other / "pyvenv.cfg").is_file()


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "work.txt").write_text("mine")
    with pytest.raises(Stopped, match="not a Python environment"):
        python_environment.refuse_foreign(tmp_path)


def test_an_absent_an_empty_and_an_own_environment_are_accepted(tmp_path: Path) -> None:
    python_environment.refuse_foreign(tmp_path / "absent")
    python_environment.refuse_foreign(tmp_path)
    (tmp_path / "pyvenv.cfg").touch()
    python_environment.refuse_foreign(tmp_path)
