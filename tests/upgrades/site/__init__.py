"""On the path of a process of its own: no package of the tests."""
