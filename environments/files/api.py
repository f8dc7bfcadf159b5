"""REST API of files: folders, what is in them, content, and uploads that resume."""

from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from environments.dataset_models import DatasetVersion
from environments.files import access, actions, disk, pages, sending, tus
from environments.files.access import Place
from environments.states import VolumeKind
from portal.accounts.access import signed_in
from portal.accounts.models import User
from portal.lib import beneath
from portal.lib.errors import Invalid
from portal.lib.rest import AlwaysFirst, problems

KEY = OpenApiParameter("key", str, OpenApiParameter.PATH, description="`key` of a folder, such as `home`.")
PATH = OpenApiParameter("path", str, description="Below the folder, such as `data/2026`; empty for the folder itself.")

MOST_VERSIONS = 100


class FolderSerializer(serializers.Serializer[Place]):
    """Files that outlive workspaces: a home, a team's folder or a dataset."""

    key = serializers.CharField()
    kind = serializers.ChoiceField(VolumeKind.choices)
    title = serializers.CharField()
    inside = serializers.CharField(help_text="Where it appears in workspaces.")
    may_write = serializers.BooleanField(help_text="Here; datasets are always read-only in workspaces.")
    used = serializers.IntegerField(allow_null=True, help_text="Bytes on disk as last measured.")
    limit = serializers.IntegerField(allow_null=True, help_text="Bytes; soft.")
    version = serializers.SerializerMethodField(help_text="Of a dataset, such as `iris:7`; null before it has files.")

    def get_version(self, place: Place) -> str | None:
        found = self.context["versions"].get(place.key)
        return str(found) if found else None


class DatasetVersionSerializer(serializers.Serializer[DatasetVersion]):
    """What a look at a dataset's files found other than the look before."""

    reference = serializers.CharField(source="__str__", help_text="Such as `iris:7`.")
    number = serializers.IntegerField(help_text="From 1.")
    fingerprint = serializers.CharField(help_text="Over path, size and time of change of each file.")
    files = serializers.IntegerField(help_text="How many.")
    bytes = serializers.IntegerField(help_text="On disk.")
    seen_at = serializers.DateTimeField(help_text="When it was first seen so.")
    still_at = serializers.DateTimeField(help_text="When it was last seen so.")


class ListedFileSerializer(serializers.Serializer[beneath.Entry]):
    name = serializers.CharField()
    kind = serializers.ChoiceField([("folder", "Folder"), ("file", "File"), ("link", "Link"), ("other", "Other")])
    size = serializers.IntegerField(help_text="Bytes; 0 for all but files.")
    modified = serializers.DateTimeField()


class ContentSerializer(serializers.Serializer[Any]):
    entries = ListedFileSerializer(
        many=True, help_text="Folders first, at most 1,000; names that are no UTF-8 are left out."
    )
    count = serializers.IntegerField(help_text="How many there are.")


class FilesView(APIView):
    resource = "workspaces"

    @property
    def user(self) -> User:
        return signed_in(self.request.user)

    def place(self, key: str, *, write: bool = False) -> Place:
        return access.place_for(self.user, key, write=write)

    def names(self) -> tuple[str, ...]:
        try:
            return beneath.parts(self.request.query_params.get("path", ""))
        except beneath.BadName as error:
            raise Invalid.field("path", str(error)) from None


@extend_schema(tags=["Files"])
class Folders(FilesView):
    @extend_schema(
        operation_id="list_folders",
        summary="List my folders",
        responses={200: FolderSerializer(many=True), **problems()},
    )
    def get(self, request: Request) -> Response:
        places = access.places_of(self.user)
        told = {"versions": pages.newest_versions(places)}
        return Response([FolderSerializer(place, context=told).data for place in places])


@extend_schema(tags=["Files"], parameters=[KEY])
class Versions(FilesView):
    @extend_schema(
        operation_id="list_dataset_versions",
        summary="List the versions of a dataset",
        responses={200: DatasetVersionSerializer(many=True), **problems(404)},
    )
    def get(self, request: Request, key: str) -> Response:
        """The newest hundred; none for other folders. Of an older version this is all that is kept, not its files."""
        found = pages.versions(self.place(key))[:MOST_VERSIONS]
        return Response([DatasetVersionSerializer(version).data for version in found])


@extend_schema(tags=["Files"], parameters=[KEY, PATH])
class Entries(FilesView):
    @extend_schema(
        operation_id="list_files",
        summary="List what is in a folder",
        responses={200: ContentSerializer, **problems(404, 409, 422)},
    )
    def get(self, request: Request, key: str) -> Response:
        found = pages.look(self.place(key), self.names())
        if found is None:
            raise Invalid.field("path", "This is a file: ask for its content.")
        entries = [line.entry for line in found["lines"] if line.name == line.entry.name]
        return Response(ContentSerializer({"entries": entries, "count": found["count"]}).data)


@extend_schema(tags=["Files"], parameters=[KEY, PATH])
class Content(FilesView):
    content_negotiation_class = AlwaysFirst

    @extend_schema(
        operation_id="download_file",
        summary="Download a file, or a range of it",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, **problems(404, 409, 422)},
    )
    def get(self, request: Request, key: str) -> HttpResponseBase:
        place, names = self.place(key), self.names()
        descriptor = disk.read(actions.volume_of(place), names)
        return sending.send(request._request, descriptor, names[-1])

    @extend_schema(
        operation_id="delete_file",
        summary="Delete a file, or a folder with all in it",
        responses={204: OpenApiResponse(description="It is gone."), **problems(404, 409, 422)},
    )
    def delete(self, request: Request, key: str) -> Response:
        actions.delete(self.place(key, write=True), self.names(), actor=self.user.username)
        return Response(status=204)


@extend_schema(tags=["Files"], parameters=[KEY, PATH])
class Uploads(FilesView):
    @extend_schema(
        operation_id="create_upload",
        summary="Begin an upload (tus 1.0: Upload-Length, Upload-Metadata)",
        request=None,
        responses={201: OpenApiResponse(description="Its address is in `Location`."), **problems(404, 409, 422)},
    )
    def post(self, request: Request, key: str) -> HttpResponse:
        return tus.create(request._request, self.user, self.place(key, write=True), self.names(), "api-upload")


@extend_schema(tags=["Files"], parameters=[OpenApiParameter("upload_id", str, OpenApiParameter.PATH)])
class OneUpload(FilesView):
    @extend_schema(
        operation_id="append_upload",
        summary="Append to an upload (tus 1.0: Upload-Offset)",
        request={tus.CONTENT: OpenApiTypes.BINARY},
        responses={
            204: OpenApiResponse(description="`Upload-Offset` says how far it is."),
            **problems(404, 409, 422),
        },
    )
    def patch(self, request: Request, upload_id: str) -> HttpResponse:
        return tus.append(request._request, self.user, upload_id)

    @extend_schema(
        operation_id="cancel_upload",
        summary="Cancel an upload",
        responses={204: OpenApiResponse(description="It is gone."), **problems(404)},
    )
    def delete(self, request: Request, upload_id: str) -> HttpResponse:
        return tus.cancel(self.user, upload_id)

    @extend_schema(exclude=True)
    def head(self, request: Request, upload_id: str) -> HttpResponse:
        return tus.offset(self.user, upload_id)
