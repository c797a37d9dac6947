"""All hosts. A new one is one entry in a module of this folder."""

from tests.hosts.shapes import (
    databases,
    interfaces,
    neighbours,
    people,
    rendering,
    startproject,
)

HOSTS = [
    *startproject.HOSTS,
    *neighbours.HOSTS,
    *rendering.HOSTS,
    *databases.HOSTS,
    *people.HOSTS,
    *interfaces.HOSTS,
]
