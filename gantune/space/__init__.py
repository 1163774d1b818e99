"""The search space: a YAML file that says which settings of a GAN are searched, and how far."""

from gantune.space.load import load_space, shipped_spaces, shipped_text, shipped_trainer
from gantune.space.space import SearchSpace, space_differences

__all__ = [
    "SearchSpace",
    "load_space",
    "shipped_spaces",
    "shipped_text",
    "shipped_trainer",
    "space_differences",
]
