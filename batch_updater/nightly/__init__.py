"""The unattended job: what lies in the inbox is run, put away, and told to people."""
