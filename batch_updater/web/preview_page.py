"""The page of the same name."""

from aiohttp import web

routes: tuple[web.RouteDef, ...] = ()
