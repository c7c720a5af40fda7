"""PDEBench (Takamoto et al., NeurIPS 2022): nine maps from the start of a physical process to its end."""
