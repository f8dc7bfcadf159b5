"""A home that nothing can be written to keeps no standard environment from starting, and the log says what is wrong."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings

from environments.catalog_files import read
from tests.callers import eventually
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

NO_FILE, NO_BYTE, READ_ONLY = "nr_inodes=1", "size=4k", "ro"
FILLED = 'head -c 9999 /dev/zero >"$HOME/filled"; exec "$@"'
CASES = [
    ("streamlit", NO_FILE, "this shows the example of the image"),
    ("streamlit", NO_BYTE, "this shows the example of the image"),
    ("shiny", READ_ONLY, "this shows the example of the image"),
    ("tensorboard", NO_FILE, "~/runs could not be made"),
    ("mlflow", NO_BYTE, "what is logged now is not kept"),
    ("vscode", NO_FILE, "what you set here is not kept"),
    ("vscode", NO_BYTE, "what you set here is not kept"),
]
READY = 60


@pytest.mark.parametrize(("template", "home", "said"), CASES)
def test_it_starts_and_says_what_is_wrong(berth: Berth, template: str, home: str, said: str) -> None:
    version = version_of(template)
    with container(berth, version, home) as name:
        eventually(lambda: answers(berth, name, "/.berth/ready"), f"{template} with a home of {home}", READY)
        assert answers(berth, name, "/")
        assert f"nothing can be written to your home, it may be full: {said}" in logged(name)


def version_of(template: str) -> dict[str, Any]:
    found = next(one for one in read(settings.BASE_DIR / "catalog").templates if one["slug"] == template)
    newest: dict[str, Any] = found["versions"][-1]
    return newest


def filled(version: dict[str, Any], text: str) -> str:
    known = {name: str(one["default"]) for name, one in version.get("parameters", {}).get("properties", {}).items()}
    values = {f"parameters.{name}": value for name, value in known.items()}
    for name, value in {**values, "port": str(version["port"]), "secret": "known", "prefix": "/"}.items():
        text = text.replace(f"{{{name}}}", value)
    return text


@contextmanager
def container(berth: Berth, version: dict[str, Any], home: str) -> Iterator[str]:
    """One of the version's image that runs what its template says, with a home that is filled before."""
    given = [f"--env={name}={filled(version, value)}" for name, value in version["environment"].items()]
    command = ["sh", "-c", FILLED, "sh", *(filled(version, part) for part in version["command"])]
    mount = f"--tmpfs=/home/berth:uid=1000,gid=1000,mode=755,{home}"
    image = berth.image(version["image"]["name"])["reference"]
    name = berth.engine.run("run", "--detach", mount, *given, image, *command).strip()
    try:
        yield name
    finally:
        berth.engine.run("rm", "--force", name)


def answers(berth: Berth, name: str, path: str) -> bool:
    """Whether the front, asked with the secret, answers as it does once the application works."""
    asked = f"curl --silent --fail --output /dev/null --header 'X-Berth-Secret: known' http://127.0.0.1:8080{path}"
    return berth.engine.run("exec", name, "sh", "-c", f"{asked} && echo yes || true") == "yes\n"


def logged(name: str) -> str:
    """What it has said, on its error output too."""
    done = subprocess.run(["docker", "logs", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    return done.stdout.decode()
