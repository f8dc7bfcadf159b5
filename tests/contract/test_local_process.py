"""What only the local driver has to promise: processes that outlive their starter, and its own images."""

import pickle
import signal
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from runtimes.base import ContainerState, EngineRefused, Mount, Progress
from runtimes.fake_engine import Program
from runtimes.local import LocalRuntime
from runtimes.local_processes import process_of
from tests.contract.names import INSTANCE, MakeSpec, Until

_STARTER = """
import os, pickle, sys
from pathlib import Path
from runtimes.local import LocalRuntime
spec = pickle.loads(bytes.fromhex(sys.argv[2]))
LocalRuntime(spec.labels["berth.instance"], Path(sys.argv[1])).ensure(spec)
os.kill(os.getpid(), 9)
"""


def test_a_process_outlives_its_starter_and_its_exit_code_is_known(
    local_runtime: LocalRuntime, local_root: Path, make_spec: MakeSpec, until: Until
) -> None:
    spec = make_spec(local_runtime, Program(b"ready\n", on_stop=5))
    started = subprocess.run([sys.executable, "-c", _STARTER, str(local_root), pickle.dumps(spec).hex()], check=False)
    assert started.returncode == -signal.SIGKILL
    assert local_runtime.inspect(spec.name).state is ContainerState.RUNNING
    until(lambda: list(local_runtime.logs(spec.name, None, follow=False)))
    local_runtime.stop(spec.name)
    until(lambda: local_runtime.inspect(spec.name).exit_code == 5)


def test_when_the_supervisor_is_killed_the_process_ends_too(
    local_runtime: LocalRuntime, local_root: Path, make_spec: MakeSpec, until: Until
) -> None:
    spec = make_spec(local_runtime)
    local_runtime.ensure(spec)
    folder = local_root / "containers" / spec.name
    process = process_of(folder)
    process_of(folder, "shim").kill()
    until(lambda: local_runtime.inspect(spec.name).state is ContainerState.EXITED)
    ended = local_runtime.inspect(spec.name)
    assert ended.exit_code is None
    assert ended.error
    until(lambda: not process.is_running())
    assert local_runtime.ensure(spec) == ended


def test_a_supervisor_that_cannot_start_tells_why(
    local_runtime: LocalRuntime, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = make_spec(local_runtime)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("runtimes.local._PROJECT", tmp_path)
        with pytest.raises(EngineRefused, match="No module named"):
            local_runtime.ensure(spec)
    assert local_runtime.inspect(spec.name).state is ContainerState.CREATED
    assert local_runtime.ensure(spec).state is ContainerState.RUNNING


def test_what_it_leaves_running_ends_with_it(local_runtime: LocalRuntime, make_spec: MakeSpec, until: Until) -> None:
    code = """
import os, subprocess, sys
left = subprocess.Popen(['sleep', '600'], start_new_session=True)
print(left.pid, flush=True)
"""
    spec = make_spec(local_runtime, command=("python3", "-c", code))
    local_runtime.ensure(spec)
    lines = list(local_runtime.logs(spec.name, None, follow=True))
    until(lambda: not psutil.pid_exists(int(lines[0].text)))
    assert local_runtime.inspect(spec.name).exit_code == 0


def test_variables_of_the_portal_are_not_passed_on(
    local_runtime: LocalRuntime, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTH_SECRET_KEY", "secret")
    code = "import os; print(sorted(os.environ)); print(os.environ['HOME'] == os.getcwd(), os.environ['MINE'])"
    spec = make_spec(local_runtime, command=("python3", "-c", code), environment={"MINE": "yes"})
    local_runtime.ensure(spec)
    names, home = [line.text for line in local_runtime.logs(spec.name, None, follow=True)]
    assert "SECRET" not in names
    assert home == "True yes"


def test_two_processes_get_two_ports(local_runtime: LocalRuntime, make_spec: MakeSpec) -> None:
    specs = [make_spec(local_runtime, port=8888) for _ in range(2)]
    addresses = [local_runtime.ensure(spec).address for spec in specs]
    assert len(set(addresses)) == 2
    assert all((address or "").startswith("127.0.0.1:") for address in addresses)


def test_other_volumes_are_links_in_the_home(local_runtime: LocalRuntime, make_spec: MakeSpec) -> None:
    home, team = Mount(f"{INSTANCE}-home", "/home/berth"), Mount(f"{INSTANCE}-team", "/home/team")
    code = "import os; open('team/note', 'w').write('x'); print(os.listdir('.'), os.listdir('team'))"
    for _ in range(2):
        spec = make_spec(local_runtime, command=("python3", "-c", code), mounts=(home, team))
        local_runtime.ensure(spec)
        lines = [line.text for line in local_runtime.logs(spec.name, None, follow=True)]
        assert lines == ["['team'] ['note']"]
        local_runtime.remove(spec.name)


def test_an_environment_is_built_once_and_found_by_its_tag(local_runtime: LocalRuntime, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("python-ulid\n")
    seen: list[Progress] = []
    image = local_runtime.build_image("with/package:1", tmp_path, seen.append)
    assert any("python-ulid" in one.message for one in seen)
    assert local_runtime.find_image("with/package:1") == local_runtime.find_image(image.id) == image
    seen.clear()
    assert local_runtime.build_image("again", tmp_path, seen.append) == image
    assert seen == []


def test_an_environment_that_cannot_be_made_tells_why_and_leaves_nothing(
    local_runtime: LocalRuntime, local_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text("./no-such-folder\n")
    before = set((local_root / "images").iterdir())
    with pytest.raises(EngineRefused, match="no-such-folder"):
        local_runtime.build_image("failed", tmp_path, lambda progress: None)
    assert local_runtime.find_image("failed") is None
    assert set((local_root / "images").iterdir()) == before


def test_progress_can_cancel_a_build(local_runtime: LocalRuntime, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("# cancelled\npython-ulid\n")
    error = KeyError("enough")

    def cancel(progress: Progress) -> None:
        raise error

    with pytest.raises(KeyError) as raised:
        local_runtime.build_image("cancelled", tmp_path, cancel)
    assert raised.value is error
    assert local_runtime.find_image("cancelled") is None


def test_without_an_engine_images_cannot_be_pulled(local_runtime: LocalRuntime, tmp_path: Path) -> None:
    with pytest.raises(EngineRefused, match="no container engine"):
        local_runtime.pull_image("debian", lambda progress: None)
    with pytest.raises(EngineRefused, match="requirements"):
        local_runtime.build_image("tag", tmp_path, lambda progress: None)


def test_of_the_standard_environments_it_offers_only_the_one_without_a_container(local_runtime: LocalRuntime) -> None:
    images = Path(__file__).parents[2] / "images"
    assert [path.parent.name for path in images.glob("*/requirements.txt")] == ["jupyter-python"]
    with pytest.raises(EngineRefused, match="needs a container engine"):
        local_runtime.build_image("berth/vscode:1", images / "vscode", lambda progress: None)
