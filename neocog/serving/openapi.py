"""The description of the paths for programs, https://spec.openapis.org/oas/v3.1.0."""

from typing import Any

from neocog.limits import readable
from neocog.serving.limits import Limits
from neocog.version import __version__

__all__ = ["description"]

_PICTURE = {"type": "string", "contentMediaType": "application/octet-stream"}
_BASE64 = {"type": "string", "contentEncoding": "base64"}

_CLASS = {
    "type": "object",
    "required": ["label", "probability"],
    "properties": {
        "label": {"type": "string"},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
    },
}
_ANSWER = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": {"type": "string", "description": "The file's name, or the picture's number."},
        "label": {
            "type": ["string", "null"],
            "description": "With a threshold: the class, or null where it is none of these.",
        },
        "guess": {"type": "string", "description": "With a threshold: the most probable class."},
        "top": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Class"},
            "description": "The most probable classes, best first.",
        },
        "labels": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Of a model for several labels: all that have the threshold, or 0.5.",
        },
        "values": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Value"},
            "description": "Of a model for numbers: its outputs, in order.",
        },
        "error": {"type": "string", "description": "Why the picture cannot be read."},
    },
}
_VALUE = {
    "type": "object",
    "required": ["label", "value"],
    "properties": {"label": {"type": "string"}, "value": {"type": "number"}},
}
_HEALTH = {
    "type": "object",
    "required": ["status", "model", "classes"],
    "properties": {
        "status": {"enum": ["ok", "ending"]},
        "model": {"type": "string", "description": "Differs for other weights or classes."},
        "classes": {"type": "integer", "description": "Classes, labels or values of an answer."},
    },
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
}
_HEALTH_REFERENCE = {"$ref": "#/components/schemas/Health"}


def description(limits: Limits) -> dict[str, Any]:
    """The description of a server with these limits."""
    body = readable(limits.body)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "neocog serve",
            "version": __version__,
            "description": "Predictions of a convolutional network.",
        },
        "paths": {
            "/predict": {"post": _predict(limits, body)},
            "/healthz": {
                "get": {
                    "summary": "Whether the server answers, and which model it has",
                    "responses": {
                        "200": _content("It answers.", _HEALTH_REFERENCE),
                        "503": _content("It is about to end.", _HEALTH_REFERENCE),
                    },
                }
            },
            "/metrics": {
                "get": {
                    "summary": "Counts and times, for Prometheus",
                    "responses": {
                        "200": {
                            "description": "All metrics.",
                            "content": {"text/plain": {"schema": {"type": "string"}}},
                        }
                    },
                }
            },
        },
        "components": {
            "schemas": {
                "Answer": _ANSWER,
                "Class": _CLASS,
                "Error": _ERROR,
                "Health": _HEALTH,
                "Value": _VALUE,
            }
        },
    }


def _predict(limits: Limits, body: str) -> dict[str, Any]:
    of_form = {"type": "array", "items": _PICTURE}
    return {
        "summary": "Classify pictures",
        "parameters": [
            _option("top", {"type": "integer", "minimum": 1, "default": 3}, "Classes a picture."),
            _option(
                "threshold",
                {"type": "number", "minimum": 0, "maximum": 1},
                "The probability that an answer needs (default: the model's own, if it has one).",
            ),
        ],
        "requestBody": {
            "required": True,
            "description": f"At most {body}, {limits.pictures} pictures and {limits.pixels:,} "
            "pixels.",
            "content": {
                "image/*": {"schema": _PICTURE},
                "application/octet-stream": {"schema": _PICTURE},
                "multipart/form-data": {
                    "schema": {"type": "object", "properties": {"image": of_form}}
                },
                "application/json": {
                    "schema": {
                        "oneOf": [
                            _object("image", _BASE64),
                            _object("images", {"type": "array", "items": _BASE64}),
                        ]
                    }
                },
            },
        },
        "responses": {
            "200": _content(
                "An answer for each picture, in order.",
                {"type": "array", "items": {"$ref": "#/components/schemas/Answer"}},
            ),
            "400": _refused("The request is damaged, or none of its pictures can be read."),
            "403": _refused("It is for another server, or comes from another page."),
            "408": _refused("It did not come in time."),
            "413": _refused("It is too large."),
            "415": _refused("It is of a kind that is not read."),
            "503": {
                **_refused("There is no room now."),
                "headers": {"Retry-After": {"schema": {"type": "integer"}}},
            },
        },
    }


def _option(name: str, schema: dict[str, Any], about: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": about}


def _object(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [name],
        "properties": {name: schema},
        "additionalProperties": False,
    }


def _content(about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": about, "content": {"application/json": {"schema": schema}}}


def _refused(about: str) -> dict[str, Any]:
    return _content(about, {"$ref": "#/components/schemas/Error"})
