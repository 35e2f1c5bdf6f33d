"""Jobs -> outcomes: the asynchronous part."""
