"""What it costs: prices and exact usage intervals."""
