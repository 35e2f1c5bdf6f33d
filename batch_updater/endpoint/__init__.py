"""The description of an API call, and what is derived from it. Pure: no file but the description, no network."""
