"""Networks that experts designed for one task each, from the published comparison of NAS-Bench-360 (Tu et al., NeurIPS 2022)."""
