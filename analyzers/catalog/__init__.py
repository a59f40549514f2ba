"""Catalog files (TOML) and the records read from them; every value with its source and date."""
