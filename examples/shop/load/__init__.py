"""Load for the shop: a known number of requests of known kinds, and a report of their results."""
