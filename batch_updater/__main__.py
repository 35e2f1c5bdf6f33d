"""`python -m batch_updater`."""

import sys

from batch_updater.cli.commands import main

sys.exit(main())
