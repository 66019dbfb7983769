"""Operates stacks: deploys, checks, backs up, restores, upgrades and removes them. The manual is docs/operations.md."""
