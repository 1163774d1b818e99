"""The packaged classifier of the embedded digits, and the script that trained it.

``python -m gantune.scores.extractors.digits`` trains it again and writes ``digits.npz`` beside
this file.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gantune.errors import ScoreError
from gantune.scores.extractors.classifier import Classifier, ClassifierSchedule, accuracy, fit
from gantune.scores.features import Extractor, resized

_FILE = Path(__file__).with_name("digits.npz")
_SIZE = 32
_RESOLUTIONS = (16, 28, 32, 64)  # at which the digits are likely to be used
_SCHEDULE = ClassifierSchedule(epochs=12)
_FEATURES = 64


def load_digits_classifier(reason: str) -> Extractor:
    """Reads the packaged classifier. Raises ``ScoreError`` where the package is damaged."""
    try:
        with _FILE.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            weights = {name: torch.from_numpy(file[name]) for name in file.files if name != "facts"}
        module = Classifier(**facts["settings"])
        module.load_state_dict(weights)
    except Exception as error:
        raise ScoreError(f"{_FILE}: damaged ({error}); install gantune again") from error
    classes = tuple(facts["classes"])
    module.eval().requires_grad_(False)
    return Extractor("classifier-digits", module, reason, classes, facts["accuracy"])


def train(schedule: ClassifierSchedule = _SCHEDULE) -> tuple[Classifier, dict[str, Any]]:
    """Trains on four fifths of the digits; returns the network and facts about it.

    Each image is shown at all resolutions at which the digits are likely to be used. The
    accuracy is the lowest over them, on the fifth that was held out.
    """
    from gantune.config import DataConfig
    from gantune.data import load_images

    sets = [load_images(DataConfig(resolution=side)) for side in _RESOLUTIONS]
    inputs = [resized(torch.tensor(one.array), 1, _SIZE) for one in sets]
    assert sets[0].labels is not None
    labels = torch.tensor(sets[0].labels)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    test, learned = order[: len(order) // 5], order[len(order) // 5 :]
    network = fit(
        torch.cat([x[learned] for x in inputs]),
        labels[learned].repeat(len(inputs)),
        len(sets[0].classes),
        _FEATURES,
        schedule,
    )
    facts = {
        "settings": network.settings,
        "classes": sets[0].classes,
        "accuracy": min(accuracy(network, x[test], labels[test]) for x in inputs),
        "trained_on": len(learned),
        "held_out": len(test),
    }
    return network, facts


if __name__ == "__main__":
    network, facts = train()
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    np.savez_compressed(_FILE, facts=np.array(json.dumps(facts)), **weights)
    share = f"{facts['accuracy']:.2%} of {facts['held_out']}"
    print(f"{_FILE}: {share} held-out digits classified correctly")
