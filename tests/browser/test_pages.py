"""Every page, light and dark, wide and narrow: nothing axe objects to, nothing to scroll sideways, no complaints."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
import yaml
from playwright.sync_api import Page, Route, expect

from deploy.python_environment import ROOT
from tests.browser.conftest import Visit, at
from tests.callers import Unready, eventually
from tests.system import Berth

pytestmark = [pytest.mark.browser, pytest.mark.docker]

FIRST_BUILD = 900
PATIENCE = 300_000
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM6EbZHzwZkKNQDUPs5FDm1O5eo3v88nKFQgISAsA+ib laptop"
FORBIDDEN = """() => {
    const form = document.querySelector("form[action='/sign-out/']");
    form.action = "/images/tiny/build/";
    form.submit();
}"""


def test_pages_of_somebody_who_has_nothing_yet(visit: Visit, inspect: Callable[[Page, str], None]) -> None:
    inspect(at(visit(), "/sign-in/"), "sign-in")
    page = visit("outsider")
    inspect(page, "home-empty")
    for name, path in PLAIN.items():
        inspect(at(page, path), name)
    page.goto("/")
    page.evaluate(FORBIDDEN)
    expect(page.get_by_text("Error 403")).to_be_visible()
    inspect(page, "403")


PLAIN = {
    "workspaces-empty": "/workspaces/",
    "catalog": "/workspaces/new/",
    "launch": "/workspaces/new/jupyter-python/",
    "launch-link": "/launch/jupyter-python/?size=medium&git=https://git.example.org/x/churn.git&ref=main&env=1",
    "images": "/images/",
    "image": "/images/jupyter-python/",
    "secrets-empty": "/secrets/",
    "tokens": "/tokens/",
    "keys-empty": "/keys/",
    "notices-empty": "/notices/",
    "webhooks-empty": "/webhooks/",
    "sweeps-empty": "/jobs/sweeps/",
    "sweep-new": "/jobs/sweeps/new/",
    "schedules-empty": "/jobs/schedules/",
    "schedule-new": "/jobs/schedules/new/",
    "404": "/workspaces/01ARZ3NDEKTSV4RRFFQ69G5FAV/",
}


def test_pages_of_workspaces_in_every_state(berth: Berth, visit: Visit, inspect: Callable[[Page, str], None]) -> None:
    caller = berth.api("scientist")
    made = {
        "starting": caller.launch(BOOT="120"),
        "running": caller.launch(),
        "failed": caller.launch(DIE="3"),
        "stopped": caller.launch(),
    }
    caller.wait(made["stopped"], "running")
    caller.act(made["stopped"], "stop")
    for state, pk in made.items():
        caller.wait(pk, state)
    page = visit("scientist")
    inspect(page, "home")
    inspect(at(page, "/workspaces/"), "workspaces")
    inspect(at(page, "/usage/"), "usage")
    inspect(at(visit("admin"), "/usage/?by=owner"), "usage-admin")
    inspect(at(visit("admin"), "/usage/statements/"), "statements")
    inspect(at(visit("admin"), "/usage/busy/?meter=cpu"), "busy-hours")
    inspect(at(visit("admin"), "/usage/prices/"), "prices")
    for state, pk in made.items():
        inspect(at(page, f"/workspaces/{pk}/"), state)
    at(page, f"/workspaces/{made['running']}/").get_by_text("Connect from your own machine").click()
    expect(page.get_by_label("In a terminal")).to_be_visible()
    inspect(page, "connect")
    inspect(at(page, f"/workspaces/{made['running']}/delete/"), "confirm")


def test_the_gpu_board_tells_each_what_they_may_know(
    berth: Berth, visit: Visit, inspect: Callable[[Page, str], None]
) -> None:
    callers = [berth.api("scientist"), berth.api("lead")]
    for caller in callers:
        held = caller.launch(size="tiny-gpu")
        caller.wait(held, "running")
    page = at(visit("scientist"), "/gpus/")
    queue = page.get_by_role("region", name="Queue")
    expect(page.get_by_text("2 A100 on 1 node: 2 in use, 0 free.")).to_be_visible()
    waits = callers[0].launch(size="tiny-gpu")
    expect(queue.get_by_text("Needs 1 × A100")).to_be_visible()
    inspect(page, "gpu-board")
    inspect(at(page, "/gpus/?show=free"), "gpu-board-none-free")
    inspect(at(page, f"/workspaces/{waits}/"), "queued-for-a-gpu")
    page = at(visit("outsider"), "/gpus/")
    expect(page.get_by_text("Team Vision")).to_have_count(3)
    page = at(visit("admin"), "/gpus/")
    inspect(at(page, page.get_by_role("link", name="Write").first.get_attribute("href") or ""), "write-to-holder")
    at(page, "/gpus/").get_by_role("link", name="Stop").first.click()
    page.get_by_role("button", name="Stop it").click()
    inspect(page, "stop-without-a-reason")
    at(page, "/gpus/").get_by_role("button", name="to new work").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    inspect(page, "node-closed")
    inspect(at(page, "/gpus/"), "gpu-board-closed")
    expect(page.get_by_text("Closed: it takes nothing new.")).to_be_visible()
    page.get_by_role("button", name="again").click()
    expect(page.get_by_text("is open again.")).to_be_visible()


def test_pages_of_administrators(berth: Berth, visit: Visit, inspect: Callable[[Page, str], None]) -> None:
    page = at(visit("admin"), "/people/")
    page.get_by_label("User name").fill("kim")
    page.get_by_label("Full name").fill("Kim Ito")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_label("Password")).to_be_visible()
    inspect(page, "people")
    page.get_by_role("link", name="Kim Ito").click()
    page.get_by_role("button", name="Put in this team").click()
    expect(page.get_by_text("Kim Ito is in")).to_be_visible()
    inspect(page, "person")
    page.get_by_role("link", name="Suspend").click()
    inspect(page, "person-suspend")
    at(page, "/usage/budgets/vision/").get_by_label("Amount for a month").fill("-1")
    page.get_by_role("button", name="Save").click()
    inspect(page, "budget-mistake")
    page.get_by_label("Amount for a month").fill("2000")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The budget of team Vision holds from now on.")).to_be_visible()
    inspect(page, "usage-budget")
    inspect(at(page, "/audit/"), "audit")
    page.get_by_text("What changed").first.click()
    inspect(at(page, "/health/"), "health")
    at(page, "/people/teams/vision/").get_by_label("Share of the machines").fill("2")
    page.get_by_role("button", name="Set share").click()
    expect(page.get_by_text("has a share of 2 now")).to_be_visible()
    inspect(page, "team")
    inspect(at(page, "/approvals/delegate/"), "delegate")
    at(page, "/announcements/").get_by_label("Text").fill("Disks are exchanged on Friday.")
    page.get_by_role("button", name="Publish").click()
    inspect(page, "announcements")
    page.get_by_role("button", name="End now").click()
    expect(page.get_by_role("button", name="End now")).to_have_count(0)


def test_pages_of_the_catalog(berth: Berth, visit: Visit, inspect: Callable[[Page, str], None]) -> None:
    reference = berth.registry.add_image("aged", berth.tiny)
    berth.publish("aged", reference)
    caller = berth.api("scientist")
    pk = caller.launch("aged")
    caller.wait(pk, "running")
    page = at(visit("admin"), "/catalog/templates/aged/edit/")
    text = page.get_by_label("YAML").input_value()
    newest = text[text.index("  - version") :].replace("'1'", "'2'")
    page.get_by_label("YAML").fill(f"{text}{newest}    changes: A newer Python.\n")
    page.get_by_role("button", name="Show difference").click()
    expect(page.get_by_text("+ version aged 2")).to_be_visible()
    inspect(page, "catalog-difference")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Published: + version aged 2.")).to_be_visible()
    inspect(page, "catalog-admin")
    inspect(at(page, "/catalog/templates/aged/"), "catalog-template")
    inspect(at(page, "/catalog/templates/aged/retire/"), "catalog-retire")
    at(page, "/catalog/new/").get_by_label("YAML").fill("slug: 3")
    page.get_by_role("button", name="Show difference").click()
    expect(page.locator(".field-error")).to_be_visible()
    inspect(page, "catalog-mistake")
    for name in ("gpus", "sizes", "prices", "limits", "approvals", "datasets"):
        inspect(at(page, f"/catalog/{name}/"), f"catalog-{name}")
    inspect(at(page, "/images/"), "images-admin")
    inspect(at(page, "/images/unused/"), "images-unused")
    page = visit("scientist")
    expect(page.get_by_text("Aged 2 is out for")).to_be_visible()
    inspect(page, "home-update")
    inspect(at(page, f"/workspaces/{pk}/"), "workspace-update")
    inspect(at(page, f"/workspaces/{pk}/update/"), "update-running")
    caller.act(pk, "stop")
    caller.wait(pk, "stopped")
    page.reload()
    inspect(page, "update")
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_text("has version 2 from its next start on")).to_be_visible()
    assert caller.workspace(pk)["version"] == "2"


def test_pages_of_an_image_that_waits_and_then_fails(
    berth: Berth, visit: Visit, inspect: Callable[[Page, str], None]
) -> None:
    page = visit("admin")
    with berth.frozen("images"):
        berth.publish("absent", f"{berth.registry.address}/absent@sha256:{'0' * 64}")
        inspect(at(page, "/images/absent/"), "image-waiting")
    eventually(lambda: berth.image("absent")["state"] == "failed", "the failed pull")
    inspect(at(page, "/images/absent/"), "image-failed")
    inspect(at(page, "/images/"), "images-failed")
    page.goto("/catalog/templates/absent/retire/")
    page.get_by_role("button", name="Retire template").click()
    expect(page.get_by_text("Absent is retired.")).to_be_visible()


def test_pages_of_keys(visit: Visit, inspect: Callable[[Page, str], None]) -> None:
    page = at(visit("lead"), "/keys/")
    page.get_by_label("Public key").fill("nonsense")
    page.get_by_role("button", name="Add key").click()
    expect(page.get_by_text("This is no public key.")).to_be_visible()
    inspect(page, "keys-refused")
    page.get_by_label("Public key").fill(PUBLIC_KEY)
    page.get_by_role("button", name="Add key").click()
    expect(page.get_by_text("The key “laptop” opens your workspaces.")).to_be_visible()
    inspect(page, "keys")
    page.get_by_role("button", name="Delete laptop").click()
    expect(page.get_by_text("The key “laptop” opens nothing any more.")).to_be_visible()
    inspect(page, "key-deleted")


def test_a_new_token_is_shown_once(visit: Visit, inspect: Callable[[Page, str], None]) -> None:
    page = at(visit("outsider"), "/tokens/")
    page.get_by_role("textbox", name="Name").fill("my laptop")
    page.get_by_label("Read workspaces").check()
    page.get_by_role("button", name="Make token").click()
    expect(page.locator("input[value^='berth_']")).to_be_visible()
    inspect(page, "token-made")
    assert "berth_" not in at(page, "/tokens/").content()
    page.get_by_role("button", name="Revoke my laptop").click()
    expect(page.get_by_text("The token “my laptop” opens nothing any more.")).to_be_visible()
    inspect(page, "token-revoked")


def test_pages_of_what_is_shared_and_offered(berth: Berth, visit: Visit, inspect: Callable[[Page, str], None]) -> None:
    caller = berth.api("scientist")
    shared, offered = caller.running(), caller.running(COLOUR="red")
    page = at(visit("scientist"), f"/workspaces/{shared}/")
    page.locator("summary", has_text="Share").click()
    page.get_by_label("With", exact=True).select_option("user:lead")
    page.get_by_label("Use it").check()
    page.get_by_role("button", name="Share", exact=True).click()
    expect(page.get_by_role("button", name="End sharing with")).to_be_visible()
    for title in ("Size", "Settings", "Duplicate", "Hand over"):
        page.locator("summary", has_text=title).click()
    inspect(page, "sharing")
    caller.act(offered, "stop")
    caller.wait(offered, "stopped")
    page = at(page, f"/workspaces/{offered}/")
    page.locator("summary", has_text="Hand over").click()
    page.get_by_label("To", exact=True).select_option("lead")
    page.get_by_role("button", name="Offer it").click()
    expect(page.get_by_role("button", name="Withdraw")).to_be_visible()
    inspect(page, "offered")
    page = visit("lead")
    inspect(page, "home-shared")
    inspect(at(page, "/workspaces/"), "list-shared")
    inspect(at(page, f"/workspaces/{shared}/"), "shared")
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Open").click()
    inside = opened.value
    inside.wait_for_url(f"**//{shared.lower()}.localhost:*/**")
    expect(inside.locator("body")).not_to_be_empty()
    page.get_by_role("button", name="End sharing").click()
    expect(page.get_by_text("No longer shared")).to_be_visible()
    expect(page.get_by_role("button", name="Open")).to_have_count(0)
    eventually(lambda: inside.reload() and "again from Berth" in inside.content(), "the end of what was shared")
    page.goto("/workspaces/")
    page.get_by_role("link", name="Look at it").click()
    inspect(page, "take-over")
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("button", name="Start")).to_be_visible()
    berth.api("lead").do("DELETE", f"/workspaces/{offered}/")


def test_a_secret_is_kept_chosen_and_replaced(berth: Berth, visit: Visit, inspect: Callable[[Page, str], None]) -> None:
    page = at(visit("lead"), "/secrets/")
    page.get_by_role("textbox", name="Name").fill("1-token")
    page.get_by_role("textbox", name="Value").fill("hunter2-hunter2")
    page.get_by_role("button", name="Keep secret").click()
    expect(page.get_by_text("no digit first")).to_be_visible()
    inspect(page, "secrets-refused")
    for name, whose in (("HF_TOKEN", "only you"), ("WAREHOUSE", "everybody in")):
        page.get_by_role("textbox", name="Name").fill(name)
        page.get_by_label("Who may use it").select_option(page.get_by_role("option", name=whose).inner_text())
        page.get_by_role("textbox", name="Value").fill("hunter2-hunter2")
        page.get_by_role("button", name="Keep secret").click()
        expect(page.get_by_text(f"{name} is kept.")).to_be_visible()
    page.goto("/workspaces/new/tiny/")
    page.get_by_label("HF_TOKEN · yours").check()
    inspect(page, "launch-secrets")
    page.get_by_role("button", name="Launch Tiny").click()
    inspect(page, "workspace-secrets")
    page.get_by_role("link", name="choose secrets").click()
    expect(page.get_by_label("HF_TOKEN · yours")).to_be_checked()
    inspect(page, "choose")
    page.goto("/secrets/")
    inspect(page, "secrets")
    assert "hunter2" not in page.content()
    page.get_by_role("link", name="Replace HF_TOKEN").click()
    inspect(page, "secret-replace")
    at(page, "/secrets/").get_by_role("link", name="Delete HF_TOKEN").click()
    inspect(page, "secret-delete")
    page.get_by_role("button", name="Delete secret").click()
    at(page, "/secrets/").get_by_role("link", name="Delete WAREHOUSE").click()
    page.get_by_role("button", name="Delete secret").click()
    expect(page.get_by_text("No secret yet")).to_be_visible()


def test_a_tab_that_is_only_open_is_warned_of_and_stopped(
    berth: Berth, visit: Visit, inspect: Callable[[Page, str], None]
) -> None:
    usual = yaml.safe_load((ROOT / "catalog" / "templates" / "jupyter-python.yaml").read_text())
    rule = {"stop_after_minutes": 1.5, "most_minutes": 480}
    berth.publish(
        "short", "", idle=rule, **{name: usual[name] for name in ("ide", "sizes", "default_size", "versions")}
    )
    eventually(lambda: berth.image("jupyter-python")["state"] == "ready", "the image of JupyterLab", FIRST_BUILD)
    caller = berth.api("lead")  # whose home has no notebooks that JupyterLab would open again
    pk = caller.launch("short", "small")
    caller.wait(pk, "running")
    page = at(visit("lead"), f"/workspaces/{pk}/")
    with page.context.expect_page() as new:
        page.get_by_role("button", name="Open").click()
    new.value.wait_for_selector(".jp-LauncherCard")
    page.goto("/")
    expect(page.get_by_text("looks idle.")).to_be_visible(timeout=PATIENCE)
    with berth.frozen("agent"):  # without its answers nothing stops, however long the looking takes
        inspect(page, "idle-home")
        at(page, f"/workspaces/{pk}/").locator("summary", has_text="Schedule").click()
        inspect(page, "idle-workspace")
        page.get_by_role("main").get_by_role("button", name="Keep running").first.click()
        expect(page.get_by_text("looks idle.")).to_be_hidden()
    why = page.get_by_role("region", name="Stopped").get_by_text("Nothing ran in it for")  # the log says it too
    expect(why).to_be_visible(timeout=PATIENCE)
    assert caller.workspace(pk)["reason"]["code"] == "idle"
    inspect(page, "idle-stopped")


def focused(page: Page) -> Iterator[str]:
    """The text of what has the focus, Tab by Tab."""
    while True:
        page.keyboard.press("Tab")
        yield page.evaluate("(document.activeElement.innerText || document.activeElement.value || '').trim()")


def tab_to(page: Page, text: str) -> None:
    for _, found in zip(range(60), focused(page), strict=False):
        if text in found:
            return
    pytest.fail(f"“{text}” is not reached with Tab.")


def test_the_menu_stays_in_sight_and_all_of_it_can_be_reached(visit: Visit) -> None:
    """However long the page is, and in a window that is lower than the menu."""
    page = visit("admin")
    page.set_viewport_size({"width": 1000, "height": 480})
    page.goto("/usage/")
    page.keyboard.press("End")
    expect(page.get_by_role("heading", level=1)).not_to_be_in_viewport()
    expect(page.locator(".side")).to_be_in_viewport(ratio=1)
    last = page.locator(".side > nav a").last
    last.scroll_into_view_if_needed()
    expect(last).to_be_in_viewport(ratio=1)
    expect(page.locator(".side .account summary")).to_be_in_viewport(ratio=1)


def test_a_launch_needs_no_mouse(berth: Berth, visit: Visit) -> None:
    page = visit("scientist")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    steps = {"Launch a workspace": "New workspace", "Tiny": "Launch Tiny", "Launch Tiny": "tiny-1"}
    for text, title in steps.items():
        tab_to(page, text)
        page.keyboard.press("Enter")
        expect(page).to_have_title(f"{title} · Berth")
        page.wait_for_load_state()
    expect(page.get_by_role("button", name="Open")).to_be_visible()


def test_the_summary_follows_the_form(berth: Berth, visit: Visit, inspect: Callable[[Page, str], None]) -> None:
    page = at(visit("scientist"), "/workspaces/new/tiny/")
    summary = page.locator("#summary")
    before = summary.locator(".big").inner_text()
    page.locator("input[name=size][value=small]").check()
    expect(summary.locator(".big")).not_to_have_text(before)
    page.get_by_label("Git repository").fill("https://git.example.org/vision/churn.git")
    page.get_by_label("Branch, tag or commit").fill("main")
    expect(summary).to_contain_text("~/churn")
    expect(page.get_by_label("Branch, tag or commit")).to_have_value("main")
    for name in ("Launch link", "Save these settings", "Name, project and variables"):
        page.locator("summary", has_text=name).click()
    page.get_by_label("Name of the configuration").fill("churn")
    inspect(page, "launch-open")
    page.get_by_role("button", name="Save configuration").click()
    expect(page.get_by_text("“churn” is saved")).to_be_visible()
    inspect(page, "catalog-saved")
    inspect(at(page, page.get_by_role("link", name="churn").get_attribute("href") or ""), "configuration")
    page.get_by_role("link", name="Delete churn").click()
    page.get_by_role("button", name="Delete configuration").click()
    expect(page.get_by_text("is deleted")).to_be_visible()


def test_times_are_those_of_the_reader_in_what_is_there_and_in_what_comes(berth: Berth, visit: Visit) -> None:
    caller = berth.api("scientist")
    pk = caller.running()
    page = at(visit("scientist", zone="Asia/Tokyo"), f"/workspaces/{pk}/")
    expect(page.get_by_text("times in JST")).to_be_visible()
    assert caller.visit(pk, "/log?lines=1").status == 200
    expect(page.locator("#log div", has_text="line 1")).to_be_visible()
    for line in page.locator("#log time").all():
        moment = datetime.fromisoformat(line.get_attribute("datetime") or "")
        expect(line).to_have_text(f"{moment.astimezone(ZoneInfo('Asia/Tokyo')):%H:%M:%S}")
    page.locator("summary", has_text="Schedule").click()
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")


def test_what_a_page_asked_in_vain_it_asks_again(berth: Berth, visit: Visit) -> None:
    page = at(visit("scientist"), "/workspaces/new/")
    asked: Counter[str] = Counter()

    def lose(route: Route) -> None:
        """What the page asks for itself, not the icons in it."""
        if route.request.resource_type == "fetch":
            asked[route.request.url] += 1
        route.abort("connectionfailed") if asked[route.request.url] in (1, 2) else route.continue_()

    page.route("**", lose)
    page.evaluate("document.body.dispatchEvent(new CustomEvent('live-reconnected'))")

    def answered() -> bool:
        page.wait_for_timeout(100)
        if set(asked.values()) != {3}:
            raise Unready(asked)
        return True

    eventually(answered, "an answer to every third request")
    page.unroute("**")


def test_everything_works_without_scripts(berth: Berth, visit: Visit) -> None:
    page = visit("scientist", scripts=False)
    page.goto("/workspaces/new/tiny/")
    page.get_by_role("button", name="Launch Tiny").click()
    pk = page.url.rstrip("/").rsplit("/", 1)[1]
    caller = berth.api("scientist")
    caller.wait(pk, "running")
    page.reload()
    page.get_by_role("button", name="Stop").click()
    caller.wait(pk, "stopped")
    page.goto(f"/workspaces/{pk}/delete/")
    page.get_by_role("button", name="Delete workspace").click()
    expect(page.get_by_text("is deleted")).to_be_visible()
    assert caller.workspace(pk)["state"] == "deleted"
