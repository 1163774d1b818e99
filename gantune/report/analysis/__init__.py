"""The analysis of a search: only numbers, no markup and no figures."""
