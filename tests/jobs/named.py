"""Images that jobs name in tests: a registry whose tags move, and a catalog that allows some."""

from environments import catalog
from environments.catalog_published import published
from runtimes.base import EngineRefused, ImageInfo, OnProgress
from runtimes.fake import FakeRuntime

TRAIN = "registry.example.org/vision/train:2026-11"
PYTHON = "docker.io/library/python:3.12-slim"
PATTERNS = ["registry.example.org/vision/*", "docker.io/library/python:3.12*"]


class Registry(FakeRuntime):
    """`tags` is what each means: one sign, of which its digest is made."""

    tags: dict[str, str]
    pulled: list[str]

    def resolve_image(self, tag: str) -> str:
        if tag not in self.tags:
            raise EngineRefused(f"manifest for {tag} not found: manifest unknown")
        return f"{tag.rpartition(':')[0]}@{digest(self.tags[tag])}"

    def pull_image(self, reference: str, on_progress: OnProgress) -> ImageInfo:
        self.pulled.append(reference)
        return super().pull_image(reference, on_progress)


def digest(sign: str) -> str:
    return f"sha256:{sign * 64}"


def allow(patterns: list[str], teams: list[str]) -> None:
    wanted = published()
    one = {"slug": "vision-images", "name": "Images of the vision team", "patterns": patterns, "teams": teams}
    wanted.allowed_images = [one] if patterns else []
    catalog.apply(wanted, actor="ada")
