"""The form of a job as a file: pasted or uploaded, its errors beside it with their lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from django import forms
from rest_framework.exceptions import ParseError

from jobs.job_file import LARGEST
from portal.lib.errors import Problem

EXAMPLE = "template: python\ncommand: [python, train.py]"


class FileForm(forms.Form):
    text = forms.CharField(
        label="The file",
        required=False,
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": 18, "wrap": "off", "spellcheck": "false", "id": "job-file", "placeholder": EXAMPLE}
        ),
    )
    upload = forms.FileField(
        label="Or one of your machine", required=False, help_text="It takes the place of what stands above."
    )

    @classmethod
    def sent(cls, data: Any, files: Any) -> Self:
        """What is uploaded stands in the text from then on, so that its lines can be looked up and changed."""
        upload = files.get("upload")
        content = upload.read(LARGEST + 1) if upload else data.get("text", "").encode()
        form = cls({"text": content[:LARGEST].decode(errors="replace")})
        form.content = content
        return form

    content: bytes

    @contextmanager
    def complaining(self) -> Iterator[None]:
        """What is refused in here stands beside the text."""
        try:
            yield
        except ParseError as error:
            self.add_error("text", str(error.detail))
        except Problem as problem:
            self.add_error("text", [*_sentences(problem)] or [problem.detail])


def _sentences(problem: Problem) -> Iterator[str]:
    """With the line, or where that is not known with the field."""
    for field, said in problem.fields.items():
        yield from (one if one.startswith("Line ") else f"{field}: {one}" for one in said)
