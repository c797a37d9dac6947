"""Compare this app with what people would use instead: `python -m benchmarks --help`."""
