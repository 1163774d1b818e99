"""Searches over variants of one config: remedies for one that fails, margins of one that trains."""
