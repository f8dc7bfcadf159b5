"""A training run in the browser: submitted, killed, tried again, watched, and its model taken out; then a notebook."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, at
from tests.callers import eventually
from tests.system import Berth

pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.e2e]

FIRST_BUILD = 1_500_000
"""Milliseconds that building the image may take where this machine has never done it."""
LIVE = 30_000
"""A page that missed a signal looks again within half a minute."""
TRAINING = """\
python - <<'END'
import hashlib, os, pickle, sys, time
from pathlib import Path
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier
attempt, kept = os.environ["BERTH_ATTEMPT"], Path(os.environ["BERTH_CHECKPOINTS"], "model.pkl")
data = load_breast_cancer()
model = SGDClassifier(random_state=0)
first = 0
if kept.exists():
    first, model = pickle.loads(kept.read_bytes())
    print("goes on at epoch", first)
for epoch in range(first, 12):
    model.partial_fit(data.data, data.target, classes=[0, 1])
    print(f"::metric accuracy={model.score(data.data, data.target)} step={epoch}::")
    print(f"::progress {(epoch + 1) / 12}::")
    kept.write_bytes(pickle.dumps((epoch + 1, model)))
    if attempt == "1" and epoch == 3:
        print("waits to be killed")
        time.sleep(600)
    if attempt == "2" and epoch == 6:
        sys.exit(75)
Path(os.environ["BERTH_OUTPUTS"], "model.pkl").write_bytes(pickle.dumps(model))
print("predictions", hashlib.sha256(model.predict(data.data).tobytes()).hexdigest())
END
"""
PREDICT = """
import base64, hashlib, pickle, sys
from sklearn.datasets import load_breast_cancer
model = pickle.loads(base64.b64decode(sys.argv[1]))
print(hashlib.sha256(model.predict(load_breast_cancer().data).tobytes()).hexdigest())
"""
NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "one",
            "metadata": {},
            "outputs": [],
            "source": "import pandas as pd\nprint('rows', len(pd.DataFrame({'a': range(41)})) + 1)",
        }
    ],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def test_a_model_is_trained_in_three_attempts_and_taken_out(
    berth: Berth, visit: Visit, inspect: Callable[[Page, str], None], tmp_path: Path
) -> None:
    page = visit("scientist")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Jobs").click()
    inspect(page, "jobs-empty")
    page.get_by_role("main").get_by_role("link", name="New job").first.click()
    inspect(page, "job-new")
    page.get_by_label("Command").fill(TRAINING)
    page.get_by_label("Tried again after a failure").fill("1")
    page.locator("summary", has_text="priority").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("train churn-net")
    page.get_by_role("button", name="Submit job").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("train churn-net")
    page.evaluate("window.neverReloaded = true")
    expect(page.locator(".log-line", has_text="waits to be killed")).to_be_visible(timeout=FIRST_BUILD)
    expect(page.get_by_role("img", name="accuracy")).to_be_visible(timeout=LIVE)
    inspect(page, "job-running")
    (container,) = berth.engine.names("berth.owner=" + job_id(page))
    berth.engine.run("rm", "--force", container)

    expect(page.locator("#header")).to_contain_text("Succeeded", timeout=180_000)
    assert page.evaluate("window.neverReloaded")
    expect(page.locator("#attempts li")).to_have_count(3)
    expect(page.locator("#attempts")).to_contain_text("the machine's fault, not counted")
    expect(page.locator("#attempts")).to_contain_text("exit code 75")
    expect(page.locator(".log-line", has_text="goes on at epoch 7")).to_be_visible()
    expect(page.locator("#artifacts").get_by_role("link", name="outputs/model.pkl", exact=True)).to_be_visible(
        timeout=LIVE
    )
    inspect(page, "job-succeeded")
    expect(page.get_by_role("link", name="Notices 1 unread")).to_be_visible(timeout=LIVE)
    line = page.locator(".log-line", has_text="predictions").inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download outputs/model.pkl").click()
    model = Path(download.value.path()).read_bytes()
    image = berth.image("jupyter-python")["digest"]
    given = base64.b64encode(model).decode()
    label = f"berth.instance={berth.instance}"
    run = ("run", "--rm", "--network", "none", "--label", label, "--entrypoint", "python3", image, "-c", PREDICT, given)
    assert line.split()[-1] == berth.engine.run(*run).split()[-1]
    keep_as_a_model(page, inspect, model)
    use_it(berth, hashlib.sha256(model).hexdigest())
    inspect(at(page, "/jobs/"), "jobs")
    inspect(at(page, "/jobs/outcomes/"), "job-outcomes")
    page.get_by_role("region", name="Figures").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    inspect(page, "jobs-narrowed")
    inspect(at(page, "/notices/"), "notices")
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.get_by_role("link", name="Notices", exact=True)).to_be_visible()
    berth.assert_invariants()


def keep_as_a_model(page: Page, inspect: Callable[[Page, str], None], content: bytes) -> None:
    page.get_by_role("link", name="Keep as a model").click()
    page.get_by_label("What to keep").select_option("outputs/model.pkl")
    page.get_by_label("Model", exact=True).fill("churn-model")
    inspect(page, "model-keep")
    page.get_by_role("button", name="Keep as a model").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("churn-model:1")
    expect(page.locator("#version")).to_contain_text("Ready", timeout=LIVE)
    inspect(page, "model-version")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes() == content
    page.get_by_role("link", name="churn-model", exact=True).click()
    inspect(page, "model")
    inspect(at(page, "/jobs/models/"), "models")


def use_it(berth: Berth, sha256: str) -> None:
    """A job reads the model, and cannot change it."""
    read = "sha256sum /data/models/churn-model-1/model.pkl; ! touch /data/models/churn-model-1/model.pkl"
    asked = {"template": "python", "command": ["bash", "-c", read], "models": ["churn-model"]}
    caller = berth.api("scientist")
    job = f"/jobs/{caller.do('POST', '/jobs/', asked)['id']}/"
    eventually(lambda: caller.do("GET", job)["state"] == "succeeded", "the end of the job that has the model")
    eventually(lambda: sha256 in str(caller.do("GET", f"{job}logs/")["results"]), "the hash of the model in its log")


def job_id(page: Page) -> str:
    return page.url.rstrip("/").rpartition("/")[2]


def test_a_notebook_of_a_running_jupyterlab_runs_as_a_job(berth: Berth, visit: Visit) -> None:
    caller = berth.api("scientist")
    made = caller.launch("jupyter-python", "small")
    workspace = caller.wait(made, "running", seconds=FIRST_BUILD / 1000)
    write = (
        f"import pathlib; p = pathlib.Path('study'); p.mkdir(); (p / 'rows.ipynb').write_text({json.dumps(NOTEBOOK)!r})"
    )
    berth.inside(workspace, write)
    page = visit("scientist")
    page.goto("/files/home/browse/study/rows.ipynb")
    page.get_by_role("link", name="Run as a job").click()
    expect(page.get_by_label("Or a folder or archive of your home")).to_have_value("study")
    page.get_by_role("button", name="Submit job").click()
    expect(page.locator("#header")).to_contain_text("Succeeded", timeout=180_000)
    page.locator("#artifacts").get_by_role("link", name="outputs/rows.ipynb", exact=True).click(timeout=LIVE)
    expect(page.get_by_text("rows 42")).to_be_visible()


def test_a_script_hears_that_it_shall_end(berth: Berth, visit: Visit) -> None:
    page = visit("scientist")
    page.goto("/jobs/new/")
    trap = "trap 'echo was asked to end; exit 0' TERM\necho is there\nwhile true; do sleep 0.2; done"
    page.get_by_label("Command").fill(trap)
    page.get_by_role("button", name="Submit job").click()
    expect(page.locator(".log-line", has_text="is there")).to_be_visible(timeout=120_000)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#header")).to_contain_text("Cancelled", timeout=LIVE)
    eventually(lambda: "was asked to end" in page.locator("#log").inner_text(), "the last words of the script")
