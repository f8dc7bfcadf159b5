"""The tus 1.0 protocol, core with creation and termination, for whoever has been recognised: page or token."""

from base64 import b64decode
from binascii import Error

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from environments.files import access, uploads
from environments.files.access import Place
from environments.files.upload_models import Upload
from portal.accounts.models import User
from portal.lib.errors import Invalid

CONTENT = "application/offset+octet-stream"
VERSION = {"Tus-Resumable": "1.0.0", "Cache-Control": "no-store"}


def create(request: HttpRequest, user: User, place: Place, folder: tuple[str, ...], route: str) -> HttpResponse:
    """`Upload-Length` and `Upload-Metadata: filename …[,replace]` → 201, with the upload's address at `route`."""
    told, length = _metadata(request.headers.get("Upload-Metadata", "")), _number(request, "Upload-Length")
    upload = uploads.begin(place, folder, told.get("filename", ""), length, user=user, replace="replace" in told)
    if upload.length == 0:
        uploads.complete(upload, 0, actor=user.username)
    return HttpResponse(status=201, headers=VERSION | {"Location": reverse(route, args=[upload.pk])})


def append(request: HttpRequest, user: User, upload_id: str) -> HttpResponse:
    upload = _upload(user, upload_id)
    if request.content_type != CONTENT:
        raise Invalid.field("content_type", f"Send it as {CONTENT}.")
    at = uploads.append(upload, _number(request, "Upload-Offset"), request, actor=user.username)
    return HttpResponse(status=204, headers=VERSION | {"Upload-Offset": str(at)})


def offset(user: User, upload_id: str) -> HttpResponse:
    upload = _upload(user, upload_id)
    told = {"Upload-Offset": str(uploads.offset(upload)), "Upload-Length": str(upload.length)}
    return HttpResponse(headers=VERSION | told)


def cancel(user: User, upload_id: str) -> HttpResponse:
    uploads.cancel(_upload(user, upload_id))
    return HttpResponse(status=204, headers=VERSION)


def _upload(user: User, upload_id: str) -> Upload:
    upload = uploads.upload_of(user, upload_id)
    access.require_write(user, upload.volume_id)
    return upload


def _number(request: HttpRequest, header: str) -> int:
    text = request.headers.get(header, "")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Invalid.field(header, f"{header} must be a number of bytes.")
    return int(text)


def _metadata(text: str) -> dict[str, str]:
    """`key base64,key` as the protocol writes it."""
    found = {}
    for pair in filter(None, (pair.strip() for pair in text.split(","))):
        key, _, value = pair.partition(" ")
        try:
            found[key] = b64decode(value, validate=True).decode()
        except (Error, UnicodeDecodeError, ValueError):
            raise Invalid.field("Upload-Metadata", "Upload-Metadata must hold base64 of UTF-8.") from None
    return found
