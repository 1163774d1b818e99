"""Engines: loops around the driver that train what it hands out."""
