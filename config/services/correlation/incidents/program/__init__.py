"""The program of the service `incidents`. It runs in its container, on Python 3.11 or later and its standard library only.

It asks Alertmanager which alerts fire. For those about your services it collects evidence, and tells it as one alert of
its own, `Incident`, which Alertmanager sends to the receivers that it has.
"""
