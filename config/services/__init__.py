"""What each service is: its files, flags and mounts, as functions of the settings."""
