"""Any file -> numbered rows, nothing changed on the way. A format is one `Book`; `opening.py` knows them all."""
