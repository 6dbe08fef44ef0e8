"""mlpack's server beside others, on the same pipelines and the same machine, in one run."""
