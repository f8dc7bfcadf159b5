"""What all pages share: template tags, home page, error pages."""
