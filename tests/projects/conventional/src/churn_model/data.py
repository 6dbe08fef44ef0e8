def load(config):
    """Rows."""


raise RuntimeError("inspection must not import this")
