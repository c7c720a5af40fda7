"""A small PDEBench file in the published layout: two samples; see ``pdebench_files``."""

from functools import partial

import pdebench_files

write = partial(pdebench_files.write, task="advection", samples=2)
