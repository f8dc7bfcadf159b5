"""Code that comes as an archive in the home: unpacked whole, or refused with the reason, whatever it claims to be."""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from environments.volumes import home_of
from jobs import collecting, unpacking
from jobs.models import Job
from jobs.states import J
from tests.conftest import People
from tests.jobs.leaving import folder_of

pytestmark = pytest.mark.django_db
CODE = {"train.py": b"print(1)\n", "lib/model.py": b"WEIGHT = 3\n", "lib/data/rows.csv": b"1,2\n" * 1000}
Submitted = Callable[..., tuple[Job, Path]]


def zipped(files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def tarred(files: dict[str, bytes], mode: Any = "w:gz", *more: tarfile.TarInfo) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in more:
            archive.addfile(info)
    return made.getvalue()


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def submitted(submit: Any, people: People, volumes: Path) -> Submitted:
    """A job whose code is an archive of that name and content, copied; where its code lies."""
    home = folder_of(home_of(people.vera), volumes)

    def make(name: str, content: bytes) -> tuple[Job, Path]:
        (home / name).write_bytes(content)
        job: Job = submit(command=["true"], folder=name)
        assert job.snapshot is not None
        own = folder_of(job.snapshot.volume, volumes)
        assert collecting.copy_one()
        job.refresh_from_db()
        return job, own

    return make


def found(own: Path) -> dict[str, bytes]:
    return {str(one.relative_to(own / "code")): one.read_bytes() for one in (own / "code").rglob("*") if one.is_file()}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("churn.zip", zipped(CODE)),
        ("churn.ZIP", zipped(CODE, zipfile.ZIP_STORED)),
        ("churn.tar", tarred(CODE, "w")),
        ("churn.tar.gz", tarred(CODE)),
        ("churn.tgz", tarred(CODE)),
        ("below-one-folder.zip", zipped({f"churn-main/{name}": content for name, content in CODE.items()})),
        ("dotted.tar.gz", tarred({f"./{name}": content for name, content in CODE.items()})),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else None,
)
def test_it_is_unpacked_and_nothing_else_is_left(submitted: Submitted, name: str, content: bytes) -> None:
    job, own = submitted(name, content)
    assert (job.state, job.message) == (J.QUEUED, "")
    assert found(own) == CODE
    assert [one.name for one in own.iterdir()] == ["code"]


def test_the_same_code_has_the_same_hash_however_it_comes(submitted: Submitted, submit: Any, volumes: Path) -> None:
    hashes = {
        submitted(name, content)[0].code_hash for name, content in (("a.zip", zipped(CODE)), ("b.tgz", tarred(CODE)))
    }
    home = next(one for one in volumes.iterdir() if (one / "a.zip").exists())
    for name, content in CODE.items():
        (home / "plain" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "plain" / name).write_bytes(content)
    job = submit(command=["true"], folder="plain")
    folder_of(job.snapshot.volume, volumes)
    assert collecting.copy_one()
    job.refresh_from_db()
    assert {job.code_hash} == hashes


def test_programs_stay_programs_and_links_links(submitted: Submitted) -> None:
    run = tarfile.TarInfo("run.sh")
    run.mode = 0o4755
    hard = special("again.py", tarfile.LNKTYPE, "train.py")
    _, own = submitted("a.tar", tarred(CODE, "w", run, special("latest", tarfile.SYMTYPE, "/etc/passwd"), hard))
    assert stat.S_IMODE((own / "code/run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((own / "code/train.py").stat().st_mode) == 0o644
    assert (own / "code/latest").is_symlink()


def test_a_folder_of_such_a_name_is_a_folder(submit: Any, people: People, volumes: Path) -> None:
    home = folder_of(home_of(people.vera), volumes)
    (home / "a.zip").mkdir()
    (home / "a.zip/train.py").write_bytes(b"1")
    job = submit(command=["true"], folder="a.zip")
    own = folder_of(job.snapshot.volume, volumes)
    assert collecting.copy_one()
    assert found(own) == {"train.py": b"1"}


def link_in_zip() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        link = zipfile.ZipInfo("out")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/tmp")
        archive.writestr("out/evil.py", b"1")
    return made.getvalue()


def long_header() -> bytes:
    """A name of a hundred megabytes, as a header of GNU tar claims it, packed into 100 KB."""
    info = special("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    info.size = 100 * 1024**2
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + b"a" * info.size)


def many_names() -> bytes:
    """A zip whose end claims a directory of three gigabytes."""
    return zipped({"a": b"1"})[:-22] + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 3 * 1024**3, 0, 0)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.zip", zipped({"../evil.py": b"1"}), "“../evil.py” leads out of it."),
        ("a.tar.gz", tarred({"a/../../evil.py": b"1"}), "“a/../../evil.py” leads out of it."),
        ("a.tar", tarred({"/etc/evil.py": b"1"}, "w"), "“/etc/evil.py” leads out of it."),
        ("a.zip", link_in_zip(), "“out/evil.py” lies below a file or link, or is in it twice."),
        (
            "a.tar",
            tarred({}, "w", special("out", tarfile.SYMTYPE, "/tmp"), special("out", tarfile.REGTYPE)),
            "“out” lies below a file or link, or is in it twice.",
        ),
        ("a.tar", tarred({}, "w", special("null", tarfile.CHRTYPE)), "“null” is no file, folder or symbolic link."),
        ("a.tar", tarred({}, "w", special("pipe", tarfile.FIFOTYPE)), "“pipe” is no file, folder or symbolic link."),
        ("a.tar", tarred({}, "w", special("x", tarfile.LNKTYPE, "/etc/passwd")), "cannot be unpacked"),
        ("a.zip", zipped({"a": b"1"}, zipfile.ZIP_LZMA), "“a” is compressed in a way that is not read; use deflate."),
        ("a.zip", b"this is no archive", "cannot be unpacked"),
        ("a.tar.gz", tarred(CODE)[:-100], "cannot be unpacked"),
        ("a.tar.gz", b"", "cannot be unpacked"),
        ("a.tar.gz", long_header(), "a header claims more than any archive of code needs."),
        ("a.zip", many_names(), "cannot be unpacked"),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else None,
)
def test_what_is_refused_ends_the_job_before_it_starts(
    submitted: Submitted, name: str, content: bytes, sentence: str
) -> None:
    job, own = submitted(name, content)
    assert job.state == J.FAILED
    assert job.message.startswith(f"Its code could not be copied: {name} cannot be unpacked: ")
    assert job.message.endswith(sentence) or sentence in job.message
    assert list(own.iterdir()) == []
    assert not Path("/tmp/evil.py").exists()


@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_bomb_is_stopped_while_it_unpacks(
    submitted: Submitted, monkeypatch: pytest.MonkeyPatch, make: Callable[[dict[str, bytes]], bytes]
) -> None:
    monkeypatch.setattr(collecting, "MOST_CODE", 10 * 1024**2)
    content = make({f"zeros-{n}": bytes(1024**2) for n in range(50)})
    assert len(content) < 100 * 1024
    job, own = submitted("bomb.zip" if make is zipped else "bomb.tgz", content)
    assert job.state == J.FAILED
    assert "is too large to be copied" in job.message
    assert list(own.iterdir()) == []


def test_a_size_that_is_a_lie_is_no_way_around_the_limit(monkeypatch: pytest.MonkeyPatch, submitted: Submitted) -> None:
    content = bytearray(zipped({"zeros": bytes(20 * 1024**2)}))
    directory = content.index(b"PK\1\2")
    struct.pack_into("<L", content, directory + 24, 1)
    job, own = submitted("lie.zip", bytes(content))
    assert (job.state, (own / "code").exists()) == (J.FAILED, False)


def test_too_many_files_are_too_many(submitted: Submitted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "MOST_FILES", 100)
    job, _ = submitted("a.zip", zipped({f"{n}": b"" for n in range(101)}))
    assert "is too large to be copied" in job.message


@pytest.mark.parametrize("name", ["a.zip", "A.ZIP", "a.tar", "a.tar.gz", "a.tgz"])
def test_what_is_an_archive(name: str) -> None:
    assert unpacking.is_archive(name)
    assert not unpacking.is_archive(f"{name}.txt")
