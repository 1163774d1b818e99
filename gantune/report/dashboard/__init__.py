"""The dashboard: optuna-dashboard on a run, with gantune's figures; it writes nothing."""
