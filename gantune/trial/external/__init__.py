"""A trainer of the user's own."""
