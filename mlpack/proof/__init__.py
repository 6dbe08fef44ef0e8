"""The proof: rows that could break an export, asked of both sides, and a report of figures."""
