"""Tests of the file browser."""
