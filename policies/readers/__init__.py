"""Readers of declared resources for the policies: files, paths of the host, image references, secrets. Nothing here judges."""
