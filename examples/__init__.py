"""Examples for users to copy from."""
