"""Operates stacks: deploys, checks, backs up, restores, upgrades and removes them. docs/operations.md is for who does it."""
