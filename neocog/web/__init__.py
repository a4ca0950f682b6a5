"""A network explored live: its explanation, its training and its weights, served over HTTP.

`neocog explore` runs it. `open_network` finds the network and its data, `Session` holds all that
pages look at and change, `Server` answers requests. All pages share one session.

Every request needs the server's token: ``Authorization: Bearer TOKEN``, or the cookie that a
browser gets for ``/?token=TOKEN``, the address that the command prints. Every reply to such a
request names the explorer in ``Neocog-Instance``. A request may name it, too, in the same header or
as ``?instance=…``, and is then refused with 409 by any other that has the same address later.

Every POST has a JSON object of at most 128 KiB (or nothing) as its body and ``Content-Type:
application/json``, but for a picture's. Its reply is the *state* after it, with a ``result`` where
one is named below. What is refused is answered by ``{"error": "…"}``, to be shown as it is, with
400 for a value that cannot be, 403 for a request from elsewhere or without the token, 404, 405, 409
for what cannot be done now, 411, 413, 415, 431, 503 for too much at once; and 507 where a disk is
full, 500 for any other failure. A reply may take as long as kernels compile; the state then tells
so in ``activity``.

Looking, by GET:

    /                       the page; /?token=… leads there and sets the cookie
    /api/state              the state, with "network": what does not change: name, input_shape,
                            classes, parameters {name: shape}, data {name, train, test} or null,
                            limits {batch_size, rate, weight}: the largest
    /api/events             the state after each change, as server-sent events ("data: {…}"); each
                            holds all, so the newest is enough. Training pauses when nobody has
                            listened for 5 seconds
    /api/explanation        the picture's explanation with the parameters of now: binary, what
                            `neocog.explanation.page.pack` packs, and "live": {steps, picture};
                            during training without attributions and top activations
    /api/batch              the latest training step: binary; steps, indices, labels, loss,
                            images {png: "data:…", shown, columns, height, width}, gradients
                            {parameter: {shape, norm, values: place or null above 20,000 numbers}}
    /api/curve              {number, count, last, points: [[steps, loss, accuracy or null,
                            images a second], …]}, losses being means since the point before
    /api/model.safetensors  the network as a file

Doing, by POST:

    /api/picture            {"index": 3} a test image, or {"move": "next" | "previous" | "random"}
    /api/upload             the file itself, Content-Type image/…, at most 20 MiB; one is decoded at
                            a time
    /api/label              {"label": "cat" | 3 | null}, null being the likeliest
    /api/training           any of {"rate": 0.01, "momentum": 0.9, "batch_size": 4}
    /api/training/start     {}
    /api/training/pause     {}
    /api/training/step      {}; result {loss}
    /api/training/reset     {"seed": 0}, or {"seed": null}: the parameters there were at first
    /api/training/undo      {}: all as before the latest reset of a network that had taken a step or
                            had a changed weight; what there is now comes back when it is done again
    /api/kernel             {"kernel": [[…]] or [[[…]]], "bias": 0}; gives no state but, binary,
                            {map: place of [1, height, width], picture, by}
    /api/weight             {"name": "conv1.weight", "index": [0, 0, 1, 1], "value": 0.5}; result
                            {name, index, old, value, before, after}, two rows of probabilities
    /api/weight/back        {}: takes the latest such change back, with the same result. Training
                            and reset make what was changed before final

The state:

    instance        of the explorer: another one has another
    version         grows with each change
    picture         number (grows with each picture or label), source "test" | "upload" | "none",
                    index, label or null
    prediction      steps (that the parameters have taken), probabilities
    training        running, steps, epoch, rate, momentum, batch_size, has_batch; null without data
    curve           number, count, last: one point more and the same number: append `last`; else
                    get /api/curve
    changes         changed weights that can be taken back
    undo            what undoing a reset brings back: steps, changes; or null
    activity        what takes long now, or null
    message         number, kind "error" | "note", text; or null

A binary message is 4 bytes little-endian, the length of the JSON that follows (utf-8), zeros up to
a multiple of 4, and float32 little-endian. A place is {"at": first number, "shape": […]}.
"""

from neocog.web.guard import is_loopback
from neocog.web.server import Server
from neocog.web.session import Session

__all__ = ["Server", "Session", "is_loopback"]
