"""What administrators tell everybody, and when Berth starts nothing new."""
