"""The program of the service `edge_door`. It is delivered with the config files and runs on Python's standard library alone.

It changes the labels of what an edge sends, in the bytes of the request, and leaves all else as it came: values, exemplars,
histograms. Prometheus or Loki answers before the edge is answered.
"""
