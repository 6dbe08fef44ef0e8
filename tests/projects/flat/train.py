"""Trains a model and saves it."""

raise RuntimeError("inspection must not import this")
