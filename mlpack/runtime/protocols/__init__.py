"""One file for each protocol: what its paths are, how it reads requests and writes answers."""
