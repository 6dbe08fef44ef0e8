"""One file per family of estimators; `TRANSFORMERS` and `MODELS` name what each converts."""
