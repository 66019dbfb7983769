"""What users copy from."""
