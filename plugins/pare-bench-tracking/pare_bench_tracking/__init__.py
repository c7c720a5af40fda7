"""Runs of pare-bench in MLflow and TensorBoard.

Read ``mlflow_plugin`` (the hooks), ``guard`` (what keeps a store's trouble away from a run), ``told`` (what is written), then a store:
``mlflow_store`` or ``tensorboard_files``.
"""
