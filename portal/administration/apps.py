"""Registers portal.administration with Django: it has no models, but the views that other tools read."""

from django.apps import AppConfig


class AdministrationConfig(AppConfig):
    name = "portal.administration"
    label = "administration"
