"""The only place that prints or compiles code: lower (names, CSE, powers) → emit (one text) → build (cached module)."""
