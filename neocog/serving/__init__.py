"""Predictions of a saved network over HTTP: ``neocog serve``.

    POST /predict        one picture or several → their most probable classes, as JSON
    GET  /healthz        whether this worker answers, and which model it has
    GET  /metrics        counts and times of all workers, for Prometheus
    GET  /openapi.json   the description of all this
    GET  /               a page to try it

A *supervisor* listens and starts *workers*, processes that accept connections of one socket. In a
worker, one thread runs the event loop; another computes, and pictures that come meanwhile are the
next batch. Whatever a client does or sends costs at most what `Limits` say.
"""
