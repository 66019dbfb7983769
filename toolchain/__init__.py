"""Prepares this machine for deployments: Docker engine, Pulumi with its providers, service images.

It uses official downloads if it can. On a network that has only package registries, it builds the same things from Go
modules and Debian packages. docs/toolchain.md lists what is made from what.
"""
