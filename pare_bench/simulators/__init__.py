"""Physics and signal generators of the generated tier: numpy and scipy only, vectorised over examples, no global random state."""
