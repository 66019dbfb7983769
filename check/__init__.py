"""The post-deploy check: what the settings promise, read back from the engine and from the running services."""
