"""Artists: a Dataset or a measurement in, matplotlib Axes out; one style; the gallery."""
