"""Networks that experts designed for a task or a suite, as the published comparisons took them (NAS-Bench-360, PDEBench, both NeurIPS 2022)."""
