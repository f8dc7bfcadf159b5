"""Registers portal.compute with Django."""

from django.apps import AppConfig


class ComputeConfig(AppConfig):
    name = "portal.compute"
    label = "compute"
