"""Assembles the REST API: authentication, errors, pages, routes."""
