"""The pictures in the docs. Dashboards are drawn from their JSON, budgets from the settings' defaults.

`make dashboards` writes `docs/pictures/`; a unit test fails if they are not current. They are drawn with the standard library:
these are boxes and texts, for which matplotlib, which draws the measurements, has only coordinates of charts.
"""
