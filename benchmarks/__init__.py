"""The instrument that measures wsproto_lite against its peers: `python -m benchmarks`. Not part of the package."""
