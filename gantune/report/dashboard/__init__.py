"""The dashboard: optuna-dashboard on a run, with gantune's figures, from which nothing is written."""
