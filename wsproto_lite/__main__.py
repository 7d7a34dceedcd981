"""Run the command line. Knows nothing else."""

import sys

from .cli import main

sys.exit(main())
