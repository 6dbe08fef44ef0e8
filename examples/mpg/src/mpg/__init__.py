"""The code of mpg: `data` loads what the pipeline of `pipeline` learns from."""
