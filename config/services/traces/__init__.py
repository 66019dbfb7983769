"""Services of the stack `traces`, and what happens to a span."""
