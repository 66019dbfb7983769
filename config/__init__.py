"""The texts of all config files: settings, and one module per service. Nothing here imports Pulumi."""
