"""Jobs in images that they name, pulled from a registry: images that know nothing of Berth."""

import json
from typing import Any

import pytest

from tests.callers import Caller, eventually
from tests.system import Berth

pytestmark = [pytest.mark.e2e, pytest.mark.docker]
OVER = {"succeeded", "failed", "cancelled", "timed_out", "lost"}
TELL = """
import os
print(open('/opt/about').readline().strip(), os.getuid(), os.getcwd(), os.environ['HOME'])
print('::metric loss=0.25 step=1::')
open('here', 'w').close()
with open(os.environ['BERTH_OUTPUTS'] + '/model.txt', 'w') as model:
    model.write('weights')
"""


@pytest.fixture
def names_images(berth: Berth) -> Berth:
    """Its catalog allows all of the registry's images but those in folders."""
    one = {"slug": "any-image", "name": "Any image", "patterns": [f"{berth.registry.address}/*"]}
    (berth.data / "catalog/images.yaml").write_text(json.dumps({"allowed_images": [one]}))
    berth.manage("catalog", "apply", str(berth.data / "catalog"), "--yes")
    return berth


def ended(caller: Caller, job: dict[str, Any]) -> dict[str, Any]:
    def over() -> dict[str, Any] | None:
        found: dict[str, Any] = caller.do("GET", f"/jobs/{job['id']}/")
        return found if found["state"] in OVER and found["artifacts_state"] != "waiting" else None

    return eventually(over, "the end of the job")


def submit(caller: Caller, image: str, *command: str, **more: Any) -> dict[str, Any]:
    body = {"image": image, "command": command or ["python3", "-c", TELL], "size": "tiny"}
    made: dict[str, Any] = caller.do("POST", "/jobs/", body | more)
    return made


def said(caller: Caller, job: dict[str, Any]) -> list[str]:
    """Its log, once all of it is there."""

    def whole() -> list[str] | None:
        found = caller.do("GET", f"/jobs/{job['id']}/logs/")
        return [line["line"] for line in found["results"]] if found["state"] == "complete" else None

    return eventually(whole, "the whole log")


def test_a_job_runs_in_an_image_that_knows_nothing_of_berth_and_again_in_the_same(
    names_images: Berth, scientist: Caller
) -> None:
    registry = names_images.registry
    strange: dict[str, Any] = {
        "Entrypoint": ["/nothing"],
        "User": "root",
        "WorkingDir": "/opt",
        "Volumes": {"/home": {}},
    }
    first = registry.add_image("train", names_images.tiny, **strange)
    second = registry.add_image("other", names_images.tiny, **strange)
    tag = registry.tag("2026-11", first)
    job = ended(scientist, submit(scientist, tag))
    assert (job["state"], job["record"]["image"]) == ("succeeded", f"{tag}@{first.partition('@')[2]}"), job["reason"]
    assert "train 1000 /home/berth/code /home/berth" in said(scientist, job)
    assert [one["path"] for one in scientist.do("GET", f"/jobs/{job['id']}/artifacts/")["results"]] == [
        "outputs/model.txt"
    ]
    assert "loss" in str(scientist.do("GET", f"/jobs/{job['id']}/metrics/"))
    registry.tag("2026-11", second)
    again = ended(scientist, scientist.do("POST", f"/jobs/{job['id']}/rerun/"))
    anew = ended(scientist, submit(scientist, tag))
    assert "train 1000 /home/berth/code /home/berth" in said(scientist, again)
    assert "other 1000 /home/berth/code /home/berth" in said(scientist, anew)
    assert again["record"]["image"] == job["record"]["image"]
    assert anew["record"]["image"] == f"{tag}@{second.partition('@')[2]}"
    names_images.assert_invariants()


def test_what_is_fetched_first_takes_a_shell(names_images: Berth, scientist: Caller) -> None:
    reference = names_images.registry.add_image("shell", names_images.tiny)
    secret = scientist.do("POST", "/secrets/", {"name": "KEY_OF_A_STRANGER", "value": "open sesame", "variable": True})
    tell = "import os; print(len(os.environ['KEY_OF_A_STRANGER']), os.getcwd())"
    asked = submit(scientist, reference, "python3", "-c", tell, secrets=["KEY_OF_A_STRANGER"])
    job = ended(scientist, asked)
    assert said(scientist, job) == ["11 /home/berth/code"], job["reason"]
    scientist.send("DELETE", f"/secrets/{secret['id']}/")


def test_what_is_not_there_fails_the_job_and_says_why(names_images: Berth, scientist: Caller) -> None:
    tag = f"{names_images.registry.address}/train:none"
    missing = ended(scientist, submit(scientist, tag))
    assert (missing["state"], missing["reason"]["code"]) == ("failed", "image_error")
    assert missing["reason"]["message"].startswith(f"Image {tag} could not be pulled: ")
    reference = names_images.registry.add_image("bare", names_images.tiny)
    lost = ended(scientist, submit(scientist, reference, "no-such-program"))
    assert lost["state"] == "failed"
    assert "no-such-program" in f"{said(scientist, lost)} {lost['reason']['message']}"
    refused = scientist.send("POST", "/jobs/", {"image": f"{names_images.registry.address}/a/b:1", "command": ["x"]})
    assert refused.status == 422
    assert f"They may run what fits {names_images.registry.address}/*" in refused.json["errors"]["image"][0]
