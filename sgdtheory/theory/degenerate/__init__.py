"""Degenerate landscapes: gradient noise, invariants of degenerate minima, dynamics beside them, the posterior."""
