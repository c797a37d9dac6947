from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "benchmarks.sites.people"
    label = "people"
