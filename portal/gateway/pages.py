"""What a person reads at a workspace's address who cannot go in; nginx shows most of these pages by itself."""

from pathlib import Path
from string import Template

from django.conf import settings

PAGES = {
    "signed-out": ("Open this workspace from Berth", "This browser has not been let in yet."),
    "ended": ("Open this workspace again from Berth", "You signed out, it was stopped, or your time was up."),
    "forbidden": ("This way in is closed", "It is used up, belongs to someone else, or is asked for by another page."),
    "suspended": ("This workspace is suspended", "Nothing in it is lost: it goes on where it was."),
    "not-running": ("This workspace does not run", "Start it from its page. Its files are kept."),
    "silent": ("No answer just now", "The workspace, or Berth itself, does not answer. Try again in a few seconds."),
}
WAYS_ON = {"suspended": ("Resume", "resume/")}
"""Where the page leads, below the workspace's own in Berth, if not there."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


class Filled(Template):
    """`%{name}` is filled in here; `$name` is left to nginx."""

    delimiter = "%"


def page(why: str) -> str:
    """HTML in which `$workspace` stands for the workspace's id."""
    title, sentence = PAGES[why]
    label, path = WAYS_ON.get(why, ("See its page in Berth", ""))
    skeleton = Filled((Path(__file__).parent / "page.html").read_text())
    return skeleton.substitute(title=title, sentence=sentence, portal_url=settings.PORTAL_URL, label=label, path=path)
