"""HTTP by Starlette and uvicorn, as `neocog serve` and `neocog explore` need it.

uvicorn trusts its clients to be quick and few; these parts bound what a client may cost. A server
is a Starlette application within a `Front`, run by an `HttpServer` on a socket of `listen`.
"""
