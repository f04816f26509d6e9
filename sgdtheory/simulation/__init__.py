"""The only place that runs kernels: ensembles in, labelled Datasets out."""
