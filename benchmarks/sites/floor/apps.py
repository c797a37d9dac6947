from django.apps import AppConfig


class FloorConfig(AppConfig):
    name = "benchmarks.sites.floor"
    label = "floor"
