"""Services of the stack `logs`, and what happens to a line."""
