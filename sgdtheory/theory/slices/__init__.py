"""Loss-landscape slices and trajectories: what such pictures show, and what they cannot."""
