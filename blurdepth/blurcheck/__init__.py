"""Measuring blur: in any picture, and in a variant against the motion that it should show."""

from blurdepth.blurcheck.energy import is_blank
from blurdepth.blurcheck.gate import WORDS, Verdict, check_variant
from blurdepth.blurcheck.measure import BlurReading, measure_blur

__all__ = ["WORDS", "BlurReading", "Verdict", "check_variant", "is_blank", "measure_blur"]
