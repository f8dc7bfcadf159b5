"""Drivers that run containers or processes; they know no user, team or money, and import no Django."""
