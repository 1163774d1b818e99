"""Trackers and what is published to them."""
