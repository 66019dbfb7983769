"""A small application that looks like the users' own."""
