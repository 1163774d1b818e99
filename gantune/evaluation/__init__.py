"""``gantune.evaluate``: image sets and checkpoints ranked under one protocol."""
