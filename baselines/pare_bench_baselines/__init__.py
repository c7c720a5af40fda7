"""ORCA, naive fine-tuning and the controls, registered by entry point like any third party."""
