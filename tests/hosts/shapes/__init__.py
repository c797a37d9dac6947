"""All hosts. A new one is one entry in a module of this folder."""

from tests.hosts.shapes import (
    databases,
    factors,
    interfaces,
    neighbours,
    people,
    rendering,
    startproject,
)

HOSTS = [
    *startproject.HOSTS,
    *neighbours.HOSTS,
    *factors.HOSTS,
    *rendering.HOSTS,
    *databases.HOSTS,
    *people.HOSTS,
    *interfaces.HOSTS,
]
