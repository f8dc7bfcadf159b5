"""What can run, and what runs for a person: templates, images, volumes and workspaces."""
