"""What ships: copied into every artifact, configured by data, importing nothing outside itself.

Inside an artifact this package is ``NAME._mlpack``, so every import in it is relative.
"""
