"""The competitors of `scripts/benchmark.py`: one module a peer, each doing the same work in its own best style."""
