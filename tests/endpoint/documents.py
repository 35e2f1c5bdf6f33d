"""Small OpenAPI documents."""

from __future__ import annotations

from typing import Any


def document(**operation: Any) -> dict[str, Any]:
    """Make a small document: PUT /things/{thing} with one body field, changed by what is given."""
    put = {
        "operationId": "put-thing",
        "parameters": [{"name": "thing", "in": "path", "required": True, "schema": {"type": "integer"}}],
        "requestBody": {
            "content": {
                "application/json": {
                    "schema": {"type": "object", "properties": {"size": {"type": "number"}}, "required": ["size"]}
                }
            }
        },
        "responses": {"204": {"description": "done"}},
    } | operation
    return {"openapi": "3.0.3", "info": {"title": "Shop", "version": "1"}, "paths": {"/things/{thing}": {"put": put}}}
