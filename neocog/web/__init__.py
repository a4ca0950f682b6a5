"""A network explored live: its explanation, its training and its weights, served over HTTP.

`neocog explore` runs it. `open_network` finds the network and its data, `Session` holds everything
that pages show and change, `Server` answers requests. All pages share one session.

Every request needs the server's token: ``Authorization: Bearer TOKEN``, or the cookie that a
browser gets at ``/?token=TOKEN``, the address that the command prints. Every reply to such a
request names the explorer in the header ``Neocog-Instance``. A request may send it back in the same
header or as ``?instance=…``; another explorer that now has the address refuses it with 409.

Every POST has a JSON object of at most 128 KiB, or nothing, as its body and ``Content-Type:
application/json``, except a picture's. Its reply is the *state* afterwards, with a ``result`` where
one is named below. A request that is refused gets ``{"error": "…"}``, a text for the user, with the
status 400 for an impossible value, 403 for a request from another page or without the
token, 404, 405, 408 for what comes too slowly, 409 for what cannot be done now, 413, 415, 431, 503
for too much at once, 507 for a full disk, or 500 for any other failure. A reply waits for kernels
that have to be compiled; ``activity`` in the state then says so.

Looking, by GET:

    /                       the page; /?token=… leads there and sets the cookie
    /api/state              the state, and what never changes as "network": name, input_shape,
                            resize, classes, parameters {name: shape}, data or null, and limits
                            {batch_size, rate, weight}, the largest values. data is {name, train,
                            held_out, part}: two numbers of images, and which part the held-out
                            ones are, "test" or "validation"
    /api/events             the state after each change, as server-sent events ("data: {…}"). Each
                            is complete, so only the newest matters. Training pauses when nobody has
                            listened for 5 seconds
    /api/explanation        the explanation of the picture with the current parameters: binary, what
                            `neocog.explanation.page.pack` packs, and "live": {steps, picture}.
                            While training runs, without attributions and top activations
    /api/channel            ?layer=conv1&channel=3&output=0: what a channel, or an output of a
                            linear layer, of the latest explanation is shown with: binary; layers
                            {name: {array: place with "rows"}}, serial. An explanation that is
                            "partial" has only some channels; its "serial" says which one it is
    /api/batch              the latest training step: binary; steps, indices, labels, loss,
                            images {png: "data:…", shown, columns, height, width}, gradients
                            {parameter: {shape, norm, values: place or null above 20,000 numbers}}
    /api/curve              {number, count, last, points: [[steps, loss, accuracy or null,
                            images a second], …]}, each loss the mean since the point before
    /api/model.safetensors  the network as a file

Acting, by POST:

    /api/picture            {"index": 3}, a held-out image of the data, or
                            {"move": "next" | "previous" | "random"}
    /api/upload             an image file, Content-Type image/…, at most 20 MiB; one is decoded at
                            a time
    /api/label              {"label": "cat" | 3 | null}, null for the most probable class;
                            of several labels or numbers the one to explain
    /api/training           any of {"rate": 0.01, "momentum": 0.9, "batch_size": 4}
    /api/training/start     {}
    /api/training/pause     {}
    /api/training/step      {}; result {loss}
    /api/training/reset     {"seed": 0} for new parameters, {"seed": null} for the first ones
    /api/training/undo      {}: back to before the latest reset, if that took away steps or changed
                            weights; another undo brings back what there is now
    /api/kernel             {"kernel": [[…]] or [[[…]]], "bias": 0}; its reply is not the state but
                            binary, {map: place of [1, height, width], picture, by}
    /api/weight             {"name": "conv1.weight", "index": [0, 0, 1, 1], "value": 0.5}; result
                            {name, index, old, value, before, after}, the last two being
                            probabilities, or numbers
    /api/weight/back        {}: undoes the latest change of a weight, with the same result. After
                            training or a reset, earlier changes cannot be undone

The state:

    instance        of the explorer; another explorer has another one
    version         grows with each change
    picture         number (grows with each new picture or label), source ("test" or "validation"
                    for an image of the data, "upload" or "none"), index, label or null
    prediction      probabilities (numbers, of a network that gives these), and steps, how many the
                    parameters were trained for
    training        running, steps, epoch, rate, momentum, batch_size, has_batch; null without data
    curve           number, count, last. One point more under the same number: append `last`.
                    Otherwise get /api/curve
    changes         changed weights that can be undone
    undo            what undoing a reset brings back: steps, changes; or null
    activity        what takes long now, or null
    message         number, kind ("error" or "note"), text; or null

A binary message is 4 bytes little-endian, the length of the JSON that follows (UTF-8), zeros up to
a multiple of 4, and float32 little-endian. A place is {"at": its first number, "shape": […]}.
"""

from neocog.hosts import is_loopback
from neocog.web.server import Server
from neocog.web.session import Session

__all__ = ["Server", "Session", "is_loopback"]
