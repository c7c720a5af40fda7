"""Solvers of the PDEBench equations, written from the equations: numpy and scipy only, vectorised over samples.

PDEBench (Takamoto et al., NeurIPS 2022 Datasets and Benchmarks) publishes the equations, constants, domains and laws of initial conditions; its
generators are under a non-commercial licence and were read for facts alone. Grids are of cell centres, ``x_i = left + (i + 1/2) dx``.
"""
