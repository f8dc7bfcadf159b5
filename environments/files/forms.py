"""Shapes of what the pages of files post; a form's files go straight into the volume, not by way of another disk."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopFutureHandlers
from django.http import HttpRequest

from environments.files import uploads
from environments.files.access import Place
from environments.files.upload_models import Upload
from portal.accounts.models import User


class NameForm(forms.Form):
    name = forms.CharField(label="Name", max_length=255, strip=True)


class Staged(UploadedFile):  # type: ignore[type-arg]
    """A file of a form that lies complete, but not yet under its name, in the volume."""

    def __init__(self, upload: Upload, size: int) -> None:
        super().__init__(None, upload.name, size=size)
        self.upload = upload


class IntoVolume(FileUploadHandler):
    """Writes what comes to partial files; `close` takes back those that were not finished."""

    chunk_size = uploads.PIECE

    def __init__(self, request: HttpRequest, place: Place, folder: tuple[str, ...], user: User) -> None:
        super().__init__(request)
        self._place, self._folder, self._user = place, folder, user
        self.begun: list[Upload] = []

    def new_file(self, *args: Any, **options: Any) -> None:
        super().new_file(*args, **options)
        most = int(self.request.META.get("CONTENT_LENGTH") or 0) if self.request else 0
        name = self.file_name or ""
        self.begun.append(uploads.begin(self._place, self._folder, name, most, user=self._user, replace=False))
        raise StopFutureHandlers

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        uploads.write(self.begun[-1], raw_data)

    def file_complete(self, file_size: int) -> Staged:
        uploads.announce(self.begun[-1], file_size)
        return Staged(self.begun[-1], file_size)

    def close(self) -> None:
        for upload in self.begun:
            if upload.pk:  # an upload that is finished has no row any more
                uploads.cancel(upload)
