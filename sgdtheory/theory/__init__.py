"""One module a theory, complete to read: source, assumptions, derivation, statement, evidence, mutants."""
