"""Makes this machine able to deploy: Docker engine, Pulumi with its providers, service images.

Whatever can be downloaded from its maker is downloaded; on a network that has package registries only, the same
things are built from Go modules and Debian packages. docs/toolchain.md says what is made from what.
"""
