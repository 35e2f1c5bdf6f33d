"""Several hosts with one queue, one quota and one history, in PostgreSQL."""
