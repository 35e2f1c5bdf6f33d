"""`python -m batch_updater`."""

from batch_updater.cli.commands import program

program()
