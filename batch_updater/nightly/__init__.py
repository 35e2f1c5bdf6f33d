"""The nightly job: runs the files of the inbox, archives them, and tells people."""
