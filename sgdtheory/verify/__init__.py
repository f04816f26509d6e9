"""Claims to verdicts: evidence is gathered once, then judges the statement and every mutant of it."""
