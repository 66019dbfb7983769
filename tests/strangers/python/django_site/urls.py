"""The two pages, and that of the metrics."""

import time

from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def index(_: HttpRequest) -> HttpResponse:
    time.sleep(0.12)
    return HttpResponse("well")


def fail(_: HttpRequest) -> HttpResponse:
    raise RuntimeError("as asked")


urlpatterns = [path("", include("django_prometheus.urls")), path("", index), path("fail", fail)]
