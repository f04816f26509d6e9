"""McAllester's SGD lectures, one module a subject, each complete to read."""
