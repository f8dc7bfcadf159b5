"""The image verbs of the Docker driver: find, resolve, pull, build, import, remove."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from docker.utils import parse_repository_tag
from docker.utils.build import create_archive, exclude_paths

from runtimes.base import EngineRefused, ImageInfo, ImageMissing, OnProgress, Progress
from runtimes.docker_answers import moment
from runtimes.docker_engine import HOUR, Absent, Engine, raise_if_error
from runtimes.progress import BuildProgress, PullProgress

_PIECE = 1024 * 1024


class DockerImages:
    """Images built or imported here carry the label of this instance."""

    def __init__(self, engine: Engine, instance: str, ca_bundle: Path | None) -> None:
        self._engine = engine
        self._instance = instance
        self._ca_bundle = ca_bundle

    def find_image(self, reference: str) -> ImageInfo | None:
        try:
            found = self._engine.ask(lambda api: api.inspect_image(reference), reading=True)
        except (ImageMissing, Absent):
            return None
        return ImageInfo(found["Id"], found["Size"], moment(found.get("Created") or ""))

    def resolve_image(self, tag: str) -> str:
        try:
            found = self._engine.ask(lambda api: api.inspect_distribution(tag))
        except (ImageMissing, Absent) as error:
            raise EngineRefused(str(error)) from error
        return f"{parse_repository_tag(tag)[0]}@{found['Descriptor']['digest']}"

    def pull_image(self, reference: str, on_progress: OnProgress) -> ImageInfo:
        progress, last = PullProgress(), Progress(None, f"Asking for {reference}")
        for message in self._pulled(reference):
            last = progress.read(message) if message else last
            on_progress(last)
        return self._must_find(reference)

    def build_image(self, tag: str, context: Path, on_progress: OnProgress) -> ImageInfo:
        progress, last = BuildProgress(), Progress(None, "Sending the build context")
        image = tag
        for message in self._built(tag, context, progress):
            if message:
                last = progress.read(message) or last
                image = message.get("aux", {}).get("ID", image)
            on_progress(last)
        return self._must_find(image)

    def import_image(self, tag: str, tar: BinaryIO) -> ImageInfo:
        repository, name = parse_repository_tag(tag)
        label = [f"LABEL berth.instance={self._instance}"]
        pieces = iter(lambda: tar.read(_PIECE), b"")
        with self._engine.within(HOUR):
            answer = self._engine.ask(lambda api: api.import_image_from_data(pieces, repository, name, label))
        for line in answer.splitlines():
            raise_if_error(json.loads(line))
        return self._must_find(tag)

    def remove_image(self, reference: str) -> None:
        try:
            found = self._engine.ask(lambda api: api.inspect_image(reference), reading=True)
        except (ImageMissing, Absent):
            return
        builder = (found["Config"].get("Labels") or {}).get("berth.instance", self._instance)
        if builder != self._instance:
            raise EngineRefused(f"{reference} was built by another Berth on this engine; it was left alone.")
        with suppress(ImageMissing, Absent):
            self._engine.ask(lambda api: api.remove_image(reference))

    def _pulled(self, reference: str) -> Iterator[dict[str, Any] | None]:
        try:
            yield from self._engine.messages(lambda api: api.pull(reference, stream=True, decode=True))
        except (ImageMissing, Absent) as error:
            raise EngineRefused(str(error)) from error

    def _built(self, tag: str, context: Path, progress: BuildProgress) -> Iterator[dict[str, Any] | None]:
        options = {"custom_context": True, "decode": True, "rm": True, "forcerm": True}
        labels = {"berth.instance": self._instance}
        try:
            with self._packed(context) as archive:
                yield from self._engine.messages(
                    lambda api: api.build(fileobj=archive, tag=tag, labels=labels, **options)
                )
        except EngineRefused as error:
            raise EngineRefused("\n".join([str(error), *progress.last_lines])) from error

    def _packed(self, context: Path) -> IO[bytes]:
        ignored = context / ".dockerignore"
        patterns = ignored.read_text().splitlines() if ignored.exists() else []
        files = exclude_paths(str(context), [line for line in patterns if line and line[0] != "#"])
        certificates = self._ca_bundle.read_text() if self._ca_bundle else ""
        extra = [("company-ca.crt", certificates)]
        return cast(IO[bytes], create_archive(str(context), sorted(files), extra_files=extra))

    def _must_find(self, reference: str) -> ImageInfo:
        found = self.find_image(reference)
        if found is None:
            raise ImageMissing(f"The engine reported success, but {reference} is not there.")
        return found
