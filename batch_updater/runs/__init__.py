"""The use cases: a run, a check, a report, an undo. The only part that knows loader, sender and reporter."""
