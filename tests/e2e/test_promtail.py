"""Logs as Promtail ships them."""

from tests.support.shipping import Shipping


class TestPromtail(Shipping):
    shipper = "promtail"
