"""How long optuna-dashboard takes to list a study, by the number of trials and of notes.

The script makes a study of canned trials in memory. Each trial has three parameters and five
artifacts, and some have a note of a thousand characters. It requests the response behind the
study's page three times, from the application and without a network, and prints the median in
seconds of CPU time, so that other work on the machine has little influence.

    python -m benchmarks.dashboard_cost --trials 1000 --notes 0 500 1000
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna

from gantune.tuner.study import note_attributes

__all__ = ["listing_seconds", "make_study"]

_TIMES = 3
_ARTIFACTS = 5


def make_study(trials: int, notes: int) -> optuna.Study:
    """A study in memory."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name="canned")
    storage = study._storage
    for number in range(trials):
        trial = study.ask()
        for name in ("generator.lr", "discriminator.lr", "ema"):
            trial.suggest_float(name, 0.0, 1.0)
        for k in range(_ARTIFACTS):
            meta = {"artifact_id": str(k), "filename": "samples.png", "mimetype": "image/png"}
            text = json.dumps({**meta, "encoding": None})
            storage.set_trial_system_attr(trial._trial_id, f"artifacts:{k}", text)
        study.tell(trial, float(number))
    for number in range(notes):
        for key, value in note_attributes("n" * 1000, number, {}).items():
            storage.set_study_system_attr(study._study_id, key, value)
    return study


def listing_seconds(study: optuna.Study) -> float:
    """CPU seconds of one response; the median of a few."""
    from optuna_dashboard import wsgi  # imports scikit-learn

    app: Any = wsgi(study._storage)
    took = []
    for _ in range(_TIMES):
        environ: dict[str, Any] = {}
        setup_testing_defaults(environ)
        environ["PATH_INFO"] = f"/api/studies/{study._study_id}"
        begun = time.process_time()
        b"".join(app(environ, lambda *_: None))
        took.append(time.process_time() - begun)
    return statistics.median(took)


def main() -> None:
    """Prints a line for each number of notes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--notes", type=int, nargs="+", default=[0, 500, 1000])
    arguments = parser.parse_args()
    for notes in arguments.notes:
        seconds = listing_seconds(make_study(arguments.trials, notes))
        print(f"{arguments.trials} trials, {notes} notes: {seconds:.2f} s", flush=True)


if __name__ == "__main__":
    main()
