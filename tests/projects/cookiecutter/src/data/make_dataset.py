raise RuntimeError("inspection must not import this")
