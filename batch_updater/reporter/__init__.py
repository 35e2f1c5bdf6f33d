"""Outcomes -> what people read."""
