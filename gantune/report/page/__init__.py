"""The page of a search: one file that needs no other and no network."""
