"""Django with django-prometheus."""
