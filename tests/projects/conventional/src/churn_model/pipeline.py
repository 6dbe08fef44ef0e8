def build(config):
    """Pipeline."""


raise RuntimeError("inspection must not import this")
