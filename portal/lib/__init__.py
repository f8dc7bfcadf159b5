"""Pure helpers: no models, no state."""
