"""Services of the stack `metrics`."""
