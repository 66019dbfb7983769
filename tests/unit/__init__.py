"""What can be known without an engine: settings, every rendered byte, and the declared resources."""
