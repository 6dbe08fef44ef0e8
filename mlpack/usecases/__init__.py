"""One file per use case; each reads as one sentence of the product."""
