"""The directory that goes on PYTHONPATH. Only `sitecustomize.py` in it ever runs."""
