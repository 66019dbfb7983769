"""What policies read declared resources with: files, paths of the host, image references, secrets. Nothing here judges."""
