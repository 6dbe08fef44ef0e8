"""The gate: a candidate against what is in production, before it takes its place."""
