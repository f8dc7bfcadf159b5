"""The way into a workspace: tickets, workspace sessions, the authorisation endpoint, nginx and the relay."""
