"""`batch-updater doctor`: checks the set-up without updating anything or showing a secret."""
