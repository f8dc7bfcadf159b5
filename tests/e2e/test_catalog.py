"""The catalog on a real engine and registry: tags become digests, pulls are cancelled, what nobody needs goes away."""

from tests.callers import Caller, eventually
from tests.system import Berth


def test_a_tag_is_resolved_once_and_only_its_digest_runs(berth: Berth, scientist: Caller) -> None:
    first = berth.registry.add_image("moving", berth.tiny)
    tag = berth.registry.tag("stable", first)
    berth.publish("moving", tag)
    eventually(lambda: berth.image("moving")["state"] == "ready", "the pull of what the tag means")
    assert berth.image("moving")["reference"] == first
    berth.registry.tag("stable", berth.registry.add_image("moved", berth.tiny))
    berth.engine.run("rmi", "--no-prune", first)
    pk = scientist.launch("moving")
    scientist.wait(pk, "running")
    assert berth.image("moving")["reference"] == first
    image = berth.engine.run("inspect", "--format", "{{.Image}}", berth.container(scientist.workspace(pk))).strip()
    assert image == berth.image("moving")["digest"]
    assert f"{tag}@" in berth.manage("catalog", "export")


def test_a_cancelled_pull_stops_and_fails_what_waits_for_it_until_it_is_retried(
    berth: Berth, scientist: Caller
) -> None:
    berth.registry.hold()
    berth.publish("slowly", berth.registry.add_image("slowly", berth.tiny))
    waiting = scientist.launch("slowly")
    eventually(lambda: berth.image("slowly")["state"] == "building", "the begin of the pull")
    admin = berth.api("admin")
    assert admin.do("POST", "/images/slowly/cancel/")["state"] == "failed"
    failed = scientist.wait(waiting, "failed")
    assert "Cancelled by admin." in failed["reason"]["message"]
    berth.registry.let_go()
    admin.do("POST", "/images/slowly/build/")
    eventually(lambda: berth.image("slowly")["state"] == "ready", "the pull that was asked for again")
    scientist.act(waiting, "start")
    scientist.wait(waiting, "running")


def test_what_nothing_needs_is_removed_from_the_engine(berth: Berth, scientist: Caller) -> None:
    reference = berth.registry.add_image("passing", berth.tiny)
    berth.publish("passing", reference)
    eventually(lambda: berth.image("passing")["state"] == "ready", "the pull")
    pk = scientist.launch("passing")
    scientist.wait(pk, "running")
    (berth.data / "catalog/templates/passing.yaml").unlink()
    berth.manage("catalog", "apply", str(berth.data / "catalog"), "--yes")
    scientist.act(pk, "restart")
    scientist.wait(pk, "running")
    assert reference not in berth.manage("images", "clean", "--yes")
    scientist.delete_all()
    eventually(lambda: not berth.engine.names(f"berth.instance={berth.instance}"), "the end of what it ran in")
    said = berth.manage("images", "clean", "--yes")
    assert reference in said
    assert "Kept" not in said
    assert berth.image("passing")["state"] == "removed"
    assert "passing" not in berth.engine.run("images", "--digests")
    berth.assert_invariants()
