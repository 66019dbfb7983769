"""The policies, one module for each thing that is judged. Each module lists its own in `POLICIES`."""
