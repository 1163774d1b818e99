"""Where a run of the documentation differs from its letter, each with the reason.

A test looks that every entry still stands in the documentation.
"""

from __future__ import annotations

__all__ = ["BEFORE", "CHANGES", "CODES", "GIVEN", "NOT_RUN"]

NOT_RUN = {
    r"make [\w-]+\b.*": "sets up an environment, and works for minutes",
    r"pip install .*": "changes the environment; .ci/run begins with it",
    r"python -m benchmarks\..*": "trains for minutes",
    r"gantune dashboard .*|(optuna-dashboard|tensorboard) .*": "serves until it is interrupted",
    r".*postgresql://.*": "needs a server; tests/tuner/test_postgres.py has one",
    r"(createuser|createdb|echo|chmod) .*": "sets up a server, and a file in one's home",
    r"gantune sample best\.pt --class .*": "needs a conditional generator; tests/cli/test_train.py",
    r"gantune doctor --data photos\.npz .*": "needs arrays of parts; tests/cli/test_doctor.py",
    r".* --data /new/place": "needs images that moved; tests/cli/test_train.py has them",
    r"gantune stabilize .*|gantune train runs/stabilize.*": "trains for minutes; "
    "tests/tuner/variants/test_stabilize.py does so with less",
    r"gantune (search|train) (runs/)?stylegan.*": "needs StyleGAN; tests/tuner has small ones",
    r"gantune diagnose training-runs/.*": "needs a log of StyleGAN; tests/health/logs has one",
    r"ray start .*|.* --engine ray\b.*": "starts Ray; tests/tuner/engines/ray does",
}
"""Commands that are not run, as patterns of the whole line."""

CHANGES = {
    "--kimg 20 --trials 100": ("--kimg 0.5 --trials 1", "minutes of training"),
    "zip(digits.images,": ("zip(digits.images[:300],", "reading images"),
    "seeds: 3": ("seeds: 1", "minutes of training"),
    "--kimg 100": ("--kimg 1", "minutes of training"),
    "--kimg 400": ("--kimg 1", "minutes of training"),
    "--kimg 200": ("--kimg 1", "minutes of training"),
    "--kimg 5000": ("--kimg 1", "made for a GPU"),
    "--device cuda:0,1": ("--device cpu:0,1", "needs two GPUs"),
    "network.width=128": ("network.width=4", "made for a GPU"),
    "dcgan#21": ("dcgan#0", "the test's searches have one trial"),
    "dcgan#7": ("dcgan#0", "the test's searches have one trial"),
    "(7)": ("(0)", "the test's searches have one trial"),
    "first#4": ("first#0", "the test's searches have one trial"),
    "--samples 5000": ("--samples 40", "the test has fewer images"),
    "trials=8, kimg=10": ("trials=1, kimg=0.5", "minutes of training"),
    "Options(trials=8)": ("Options(trials=1)", "minutes of training"),
    "budget: {trials: 60}": ("budget: {trials: 1}\nfinalists: {top: 0}", "minutes of training"),
    "budget: {trials: 24}": ("budget: {trials: 1}\nfinalists: {top: 0}", "minutes of training"),
}
"""Texts of commands, Python and files that are run otherwise."""

CODES = {
    "python train.py | gantune diagnose - --loss hinge": 3,
    "python -u train.py | gantune diagnose - --loss hinge": 3,
    "python -u train.py | tee train.log | gantune diagnose - --loss hinge": 3,
}
"""Commands that end with another code than 0, as their pages say."""

BEFORE = {
    "README.md": ["gantune search dcgan", "gantune search wgan_gp"],
    "docs/dashboard.md": ["gantune search dcgan"],
    "docs/report.md": ["gantune search dcgan", "gantune search sngan"],
    "docs/scores.md": ["gantune search dcgan"],
    "docs/search.md": ["gantune search dcgan"],
}
"""What is run before a page: what its reader has done by then."""

GIVEN = {
    "docs/own-trainer.md": """
from torch import nn

def make_networks(width):
    return nn.Sequential(nn.Linear(64, 1024), nn.Tanh(), nn.Unflatten(1, (1, 32, 32))), None

def train_for_a_while(generator, critic, lr):
    return 1.0, 0.7

def save(file, generator, critic):
    torch.save(generator.state_dict(), file)

def load(file, generator, critic):
    generator.load_state_dict(torch.load(file))
""",
    "docs/scores.md": "import gantune, numpy\nimages = numpy.zeros((20, 1, 32, 32), 'uint8')",
}
"""Python that a page leaves to its reader; it stands before the page's blocks and files."""
