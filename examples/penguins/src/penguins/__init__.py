"""The code of penguins: `data` loads what the pipeline of `pipeline` learns from."""
