"""How Berth is installed and run on one machine. What runs before the virtual environment exists uses only the
standard library."""
