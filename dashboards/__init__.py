"""The dashboards, written in Python and committed as the JSON that Grafana reads: `make dashboards`.

One module for each, with one function for each panel. How panels look and where they lead is said once, in `look.py`.
"""
