"""How things look as JSON: one file per noun."""
