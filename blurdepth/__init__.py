"""blurdepth: monocular depth models that know what an open shutter does."""

__version__ = "0.4.0"
