"""blurdepth: monocular depth models that know what an open shutter does."""

import os

__version__ = "0.5.0"

# Before torch is imported: threads of its CPU kernels that wait for each other let others work after some microseconds.
# By default they spin for much longer, and where something else runs, too (the page beside a fine-tune), a step took
# 9 s instead of 1.5 s; alone it takes the same.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# Before the first tensor is made: large ones get pages of 2 MB where the system has them (Linux), so that a step of a
# fine-tune on a CPU needn't wait for thousands of small ones. It takes a sixth less.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
