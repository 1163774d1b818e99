"""Feature extractors, one file each, and the rule that picks one."""
