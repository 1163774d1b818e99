"""What a search says: numbers only, no markup and no figures."""
