"""A small application that looks like a user's own."""
