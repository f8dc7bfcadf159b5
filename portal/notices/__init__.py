"""What people are told, and how it reaches them: on the pages, by mail and by webhook."""
