"""Logs as Promtail ships them."""

from tests.e2e.shipping import Shipping


class TestPromtail(Shipping):
    shipper = "promtail"
