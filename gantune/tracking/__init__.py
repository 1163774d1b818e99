"""Publishes a run folder to TensorBoard, W&B or MLflow. Imports neither torch nor Optuna."""
