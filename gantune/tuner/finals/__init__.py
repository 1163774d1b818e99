"""The finals: who takes part, how finalists are ranked, and which of them differ."""
