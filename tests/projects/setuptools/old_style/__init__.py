__version__ = "2.0.1"

raise RuntimeError("inspection must not import this")
