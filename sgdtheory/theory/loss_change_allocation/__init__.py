"""Loss change allocation: what a step's loss change owes to each parameter, one module a subject.

A step moves coordinate i by Δᵢ. Its allocation is Aᵢ = Δᵢ·ḡᵢ with ḡ the mean of ∇L on the straight segment; the naive
version puts the step's own minibatch gradient G in the place of ḡ and −ηG in the place of Δ.
"""
