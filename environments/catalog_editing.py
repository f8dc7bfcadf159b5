"""The catalog's files as texts to edit: one of them is replaced, and all are read again together."""

from environments import access
from environments.catalog_files import Catalog, CatalogError, read_files
from environments.catalog_published import documents, published, template_data
from environments.catalog_yaml import Unreadable, dump, parse
from portal.lib.errors import NotFound

GPUS, SIZES, PRICES, DATASETS = "gpus.yaml", "sizes.yaml", "prices.yaml", "datasets.yaml"
LIMITS, APPROVALS, IMAGES, NEW = "limits.yaml", "approvals.yaml", "images.yaml", "templates/new.yaml"
TITLES = {
    GPUS: "GPU classes",
    SIZES: "Sizes",
    PRICES: "Prices",
    LIMITS: "Limits",
    DATASETS: "Datasets",
    APPROVALS: "Approval rules",
    IMAGES: "Images that jobs may name",
    NEW: "New template",
}
SKELETON = """\
slug: my-notebooks
name: My notebooks
summary: What it is for, in one sentence.
kind: workspace
ide: jupyterlab
icon: {letter: M, colour: blue}
teams: ["*"]
sizes: [small]
default_size: small
versions:
  - version: "1"
    summary: What is in it
    image: {name: jupyter-python, build: jupyter-python}
    port: 8888
    health_path: "{prefix}api"
    door_header: "Authorization: token {secret}"
    command:
      - jupyter
      - lab
      - --ip=0.0.0.0
      - --port={port}
      - --no-browser
      - --ServerApp.base_url={prefix}
      - --ServerApp.allow_remote_access=True
      - --ServerApp.trust_xheaders=True
    environment:
      JUPYTER_TOKEN: "{secret}"
"""


def file_of(slug: str) -> str:
    return f"templates/{slug}.yaml"


def text_of(file: str) -> str:
    """What a file would say of what is published. Raises NotFound."""
    if file == NEW:
        return SKELETON
    found = documents(published()).get(file)
    if found is None:
        found = template_data(access.any_template(file.removeprefix("templates/").removesuffix(".yaml")))
    return dump(found)


def with_text(file: str, text: str) -> Catalog:
    """The whole catalog with this file as the text says. Raises CatalogError, naming lines of the text."""
    files = {name: dump(data) for name, data in documents(published()).items()}
    if file == NEW:
        file = _new_file(text)
        if file in files:
            raise CatalogError(["new.yaml: slug: there is a template of that name; open that one to change it"])
    return read_files(files | {file: text})


def without(slug: str) -> Catalog:
    """The whole catalog but for this template. Raises NotFound when it is not on offer."""
    files = {name: dump(data) for name, data in documents(published()).items()}
    if files.pop(file_of(slug), None) is None:
        raise NotFound("There is no such template on offer.")
    return read_files(files)


def _new_file(text: str) -> str:
    """The file that its slug names; the rest of the text is checked with all others."""
    try:
        data = parse("new.yaml", text).data
    except Unreadable as error:
        raise CatalogError([str(error)]) from error
    slug = data.get("slug") if isinstance(data, dict) else None
    return file_of(slug) if isinstance(slug, str) else NEW
