"""What no name can do: leave the folder, follow a link, wait for a pipe; and what a look at all of them finds."""

import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.lib import beneath

BAD = ["..", ".", "a/../b", "/etc", "a//b", "a/", "x\0y", "new\nline", "\x7f", "ä" * 128, "a/" * 101 + "b", "\udcff"]
GOOD = ["a", "...", "a..", "trailing. ", "naïve ☃ 漢字.txt", "%2e%2e", "..\\..", "x" * 255, "-rf", "~", "a b/c'd\"e"]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "in").mkdir()
    held = os.open(tmp_path / "in", os.O_PATH | os.O_DIRECTORY)
    yield held
    os.close(held)


@pytest.mark.parametrize("path", BAD)
def test_what_can_be_no_name_is_refused(path: str) -> None:
    with pytest.raises(beneath.BadName):
        beneath.parts(path)


@pytest.mark.parametrize("path", GOOD)
def test_any_other_name_is_itself(root: int, path: str) -> None:
    *above, name = beneath.parts(path)
    with beneath.folder(root, above, make=True) as where:
        os.close(beneath.append(where, name))
        assert beneath.entry(where, name).kind == "file"


@pytest.mark.parametrize("target", ["..", "/", "../secret", "/etc/passwd", "."])
def test_links_are_shown_and_never_followed(root: int, target: str) -> None:
    os.symlink(target, "link", dir_fd=root)
    assert [one.kind for one in beneath.entries(root, 10)[0]] == ["link"]
    with pytest.raises(OSError), beneath.folder(root, ("link",)):
        pass
    with pytest.raises(OSError), beneath.folder(root, ("link", "secret")):
        pass
    for opening in (beneath.read, beneath.append):
        with pytest.raises(OSError):
            opening(root, "link")
    beneath.remove(root, "link")
    assert beneath.entries(root, 10) == ([], 0)


def test_a_folder_that_becomes_a_link_while_it_is_used_leads_nowhere_else(root: int, tmp_path: Path) -> None:
    with beneath.folder(root, ("a", "b"), make=True) as where:
        os.rename("a", "moved", src_dir_fd=root, dst_dir_fd=root)
        os.symlink(tmp_path, "a", dir_fd=root)
        os.close(beneath.append(where, "secret"))
    assert (tmp_path / "in/moved/b/secret").exists()
    assert (tmp_path / "secret").read_text() == "outside"


def test_deleting_a_folder_with_links_in_it_deletes_nothing_else(root: int, tmp_path: Path) -> None:
    with beneath.folder(root, ("a",), make=True) as where:
        os.symlink(tmp_path, "up", dir_fd=where)
        os.symlink(tmp_path / "secret", "file", dir_fd=where)
    beneath.remove(root, "a")
    assert (tmp_path / "secret").read_text() == "outside"


def test_pipes_and_folders_are_no_files(root: int) -> None:
    os.mkfifo("pipe", dir_fd=root)
    os.mkdir("folder", dir_fd=root)
    for name in ("pipe", "folder"):
        with pytest.raises(OSError):
            os.close(beneath.read(root, name))
        with pytest.raises(OSError):
            os.close(beneath.append(root, name))


def test_folders_come_first_and_a_long_list_is_cut(root: int) -> None:
    for name in ("b", "A", "c"):
        os.close(beneath.append(root, name))
    os.mkdir("z", dir_fd=root)
    shown, count = beneath.entries(root, 2)
    assert ([one.name for one in shown], count) == (["z", "A"], 4)
    assert beneath.entries(root, 9, hidden=("A", "z"))[1] == 2


def test_a_name_that_is_taken_gets_a_number_unless_it_is_replaced(root: int, tmp_path: Path) -> None:
    def put(text: str, *, replace: bool = False) -> str:
        (tmp_path / "in/coming").write_text(text)
        return beneath.place(root, "coming", root, "data.tar.gz", replace=replace)

    assert [put("one"), put("two"), put("three", replace=True)] == ["data.tar.gz", "data.tar (2).gz", "data.tar.gz"]
    assert (tmp_path / "in/data.tar.gz").read_text() == "three"
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["data.tar (2).gz", "data.tar.gz"]


def test_a_number_keeps_the_name_short_enough(root: int, tmp_path: Path) -> None:
    for _ in range(2):
        (tmp_path / "in/coming").write_text("x")
        assert len(beneath.place(root, "coming", root, "ä" * 127, replace=False).encode()) <= 255


def test_renaming_never_replaces(root: int) -> None:
    for name in ("a", "b"):
        os.close(beneath.append(root, name))
    with pytest.raises(FileExistsError):
        beneath.rename(root, "a", "b")
    beneath.rename(root, "a", "c")
    assert [one.name for one in beneath.entries(root, 9)[0]] == ["b", "c"]


def test_an_extent_counts_what_is_on_disk_once_and_stops_in_time(root: int, tmp_path: Path) -> None:
    (tmp_path / "in/a").write_bytes(b"x" * 8192)
    os.link(tmp_path / "in/a", tmp_path / "in/same")
    (tmp_path / "in/link").symlink_to("/etc/passwd")
    os.truncate(tmp_path / "in/a", 8192)
    found = beneath.extent(root, seconds=60, most=100)
    assert (found.bytes, found.files, found.folders, found.whole) == (8192, 3, 0, True)
    assert not beneath.extent(root, seconds=60, most=1).whole


def test_names_that_an_address_cannot_hold_are_not_addressable(root: int) -> None:
    for name in (b"\xff", b"two\nlines", b"fine"):
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=root))
    assert {one.name for one in beneath.entries(root, 9)[0] if one.addressable} == {"fine"}


def mark(root: int) -> str:
    return beneath.extent(root, seconds=60, most=1000).fingerprint


def test_a_fingerprint_says_what_has_changed_and_nothing_else(root: int, tmp_path: Path) -> None:
    inside = tmp_path / "in"
    (inside / "deep").mkdir()
    for name in ("a", "b", "deep/c"):
        (inside / name).write_text(name)
        os.utime(inside / name, ns=(5, 5))
    seen = [mark(root)]
    (inside / "empty").mkdir()
    os.utime(inside / "deep")
    (inside / "a").chmod(0o600)
    assert mark(root) == seen[0]
    changes: list[Callable[[], object]] = [
        lambda: (inside / "a").rename(inside / "d"),
        lambda: (inside / "b").rename(inside / "deep/b"),
        lambda: os.truncate(inside / "d", 9),
        lambda: os.utime(inside / "d", ns=(5, 6)),
        lambda: (inside / "d").unlink(),
        lambda: (inside / "link").symlink_to("/etc/passwd"),
    ]
    for change in changes:
        change()
        seen.append(mark(root))
    assert len(set(seen)) == len(changes) + 1


def test_a_fingerprint_is_the_same_in_whatever_order_the_names_come(root: int, tmp_path: Path) -> None:
    seen = set()
    for order in (range(300), range(299, -1, -1)):
        for number in order:
            (tmp_path / f"in/{number}").write_text("x")
            os.utime(tmp_path / f"in/{number}", ns=(5, 5))
        seen.add(mark(root))
        for number in range(300):
            (tmp_path / f"in/{number}").unlink()
    assert len(seen) == 1


def test_links_out_are_not_followed(root: int, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "in/out").symlink_to(tmp_path / "out")
    before = beneath.extent(root, seconds=60, most=100)
    (tmp_path / "out/large").write_bytes(b"x" * 8192)
    (tmp_path / "secret").write_text("changed")
    assert beneath.extent(root, seconds=60, most=100) == before
    assert (before.files, before.folders, before.whole) == (1, 0, True)


def test_what_may_not_be_read_counts_as_not_there(root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "in/closed"
    closed.mkdir()
    (closed / "x").write_text("x")
    (tmp_path / "in/open").write_text("o")
    (tmp_path / "in/open").chmod(0)
    opened, inode = os.open, closed.stat().st_ino

    def refusing(path: Any, flags: int, *rest: Any, dir_fd: int | None = None) -> int:
        """As the system refuses whoever is not root."""
        if path == "." and dir_fd is not None and os.fstat(dir_fd).st_ino == inode:
            raise PermissionError(path)
        return opened(path, flags, *rest, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refusing)
    found = beneath.extent(root, seconds=60, most=100)
    assert (found.files, found.folders, found.whole) == (1, 1, True)


def test_very_many_files_take_no_memory_for_their_names(root: int, tmp_path: Path) -> None:
    for number in range(4000):
        (tmp_path / f"in/{'x' * 200}{number}").touch()
    beneath.extent(root, seconds=60, most=10_000)
    tracemalloc.start()
    try:
        found = beneath.extent(root, seconds=60, most=10_000)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found.files, found.whole) == (4000, True)
    assert most < 4000 * 200 / 4


def test_no_descriptor_is_left_open(root: int, tmp_path: Path) -> None:
    (tmp_path / "in/a/b/c").mkdir(parents=True)
    (tmp_path / "in/a/b/c/d").touch()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for most in (1, 2, 100):
        beneath.extent(root, seconds=60, most=most)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
