"""What several suites use: deployments, ports, waits, programs without an engine, tables of lines."""
