"""Lie brackets of training examples, one module a subject, each complete to read."""
