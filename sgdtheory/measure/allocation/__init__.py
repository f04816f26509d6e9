"""Loss change allocation of runs: what each parameter's moves did to the loss."""
