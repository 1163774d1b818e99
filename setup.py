"""What pyproject.toml cannot say: the shipped spaces lie at the top of the repository, for people
to find, and inside the package once it is installed."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["gantune", "gantune.*"]), "gantune.search_spaces"],
    package_dir={"gantune.search_spaces": "search_spaces"},
)
