"""The dashboards, written in Python. `make dashboards` writes them as the JSON that Grafana reads.

Each `*_board.py` is one dashboard, with one function for each panel. They build on `board` (variables, annotations, rows), `panels`
(how a panel looks), `panel_links` (where it leads) and `queries`.
"""
