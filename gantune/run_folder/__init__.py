"""What a search leaves on disk: which file lies where, and what it holds."""
