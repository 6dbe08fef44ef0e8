"""Which flights arrive late: `data` loads what the pipeline of `pipeline` learns from."""
