"""Logs as Alloy ships them."""

from tests.e2e.shipping import Shipping


class TestAlloy(Shipping):
    shipper = "alloy"
