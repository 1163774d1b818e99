"""Feature extractors, one file each, their selection and their store."""
