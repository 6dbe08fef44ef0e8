"""The code of names: `data` loads what the pipeline of `pipeline` learns from."""
