"""Descriptions of the services: files, flags and mounts, as functions of the settings."""
