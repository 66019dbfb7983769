"""Services of the stack `correlation`."""
