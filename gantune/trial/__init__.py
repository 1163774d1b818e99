"""One run of training: health, rungs, checkpoints and scores around any trainer."""
