"""The files of a search and of its runs of training: their paths and their contents."""
