"""`batch-updater doctor`: whether everything is ready to send. Nothing is updated, and no secret is shown."""
