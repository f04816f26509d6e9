"""Beyond the lectures: laws of long runs, stability, tails and orders, one module a subject."""
