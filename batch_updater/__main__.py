"""`python -m batch_updater`."""

import sys

from batch_updater.cli import main

sys.exit(main())
