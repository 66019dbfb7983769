"""Load for the shop: requests of known number and kind, and a report of what became of them."""
