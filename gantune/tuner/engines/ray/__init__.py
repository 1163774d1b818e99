"""The Ray Tune engine: trials on one machine's Ray or on a cluster of many."""
