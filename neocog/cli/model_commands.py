"""Commands that use networks, and that inspect data and this machine."""

from functools import partial
from typing import Any

from neocog.cli.argument_parser import ArgumentParser
from neocog.cli.arguments import (
    DATA,
    MODEL,
    Commands,
    add_command,
    add_engine,
    add_model,
    add_threads,
    overview,
)
from neocog.cli.curation_commands import (
    embed_arguments,
    similar_arguments,
    suggest_arguments,
)
from neocog.cli.data_options import add_check_options, add_column_options
from neocog.cli.evaluation_options import (
    add_threshold,
)

__all__ = ["EXPORTS", "add_model_commands"]

#: As in `neocog.exporting`, whose import would take too long here.
EXPORTS = ("onnx", "pth", "safetensors", "torch-export", "hub")


def add_model_commands(commands: Commands) -> None:
    """Add the commands; the arguments of one are added when it is asked for."""
    for name, text, fill in (
        ("predict", "classify pictures with a saved network", _predict),
        ("embed", "write the features of pictures to a file", embed_arguments),
        ("similar", "find the pictures that look most like another one", similar_arguments),
        (
            "suggest",
            "say which pictures to label next, and which labels look wrong",
            suggest_arguments,
        ),
        ("explain", "write a page that explains a prediction", _explain),
        ("export", "write a saved network for other programs, such as ONNX Runtime", _export),
        ("push", "upload a saved network with a model card to the Hugging Face hub", _push),
        ("pull", "download a network from the Hugging Face hub", _pull),
        ("models", "list the built-in networks and what they cost", _models),
        ("summary", "list the layers of a network, and the memory of training", _summary),
        ("explore", "open a page to explain a network and to watch it train, live", _explore),
        ("serve", "answer pictures over HTTP with a saved network", _serve),
        ("bench", "measure the speed of training and prediction on this machine", _bench),
        ("data", "check pictures before training", _data),
        ("cache", "list or remove decoded pictures and compiled kernels", _cache),
        ("kernels", "list all kinds of kernels, and which of them are compiled", _kernels),
        ("warm-up", "compile all kernels ahead, so that no network waits for them", _warm_up),
    ):
        add_command(commands, name, text, fill)


def _predict(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.predict import predict

        return predict(**options)

    add_model(p)
    p.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="a picture, a folder, a pattern such as '*.png', another source of pictures, or - for "
        "a list of files on stdin",
    )
    p.add_argument("--top", type=int, default=3, help="classes per image (default: 3)")
    add_threshold(p)
    how = p.add_mutually_exclusive_group()
    for option, format_, what in (
        ("--json", "json", "write one JSON array"),
        ("--jsonl", "jsonl", "write JSON lines: file, label, probability, top"),
        ("--csv", "csv", "write CSV: file, label, probability and so on"),
    ):
        how.add_argument(
            option, dest="format_", action="store_const", const=format_, default=None, help=what
        )
    p.add_argument(
        "-o",
        "--out",
        default=None,
        metavar="FILE",
        help="file to write; .json, .jsonl and .csv set the format (default: stdout)",
    )
    p.add_argument(
        "-0", "--null", action="store_true", help="names on stdin are separated by null bytes"
    )
    p._has_negative_number_optionals.clear()  # because of -0, argparse would take -1 as an option
    add_threads(p)
    add_engine(p)
    add_column_options(p)
    p.set_defaults(run=run)


def _explain(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.explain import explain

        return explain(**options)

    add_model(p)
    p.add_argument("image", help="an image file, or train:3, validation:3 or test:3")
    p.add_argument(
        "--label",
        default=None,
        help="the image's class (default: its label, or the prediction); of several labels or "
        "numbers the one to explain",
    )
    p.add_argument(
        "--data",
        default=None,
        help=f"{DATA.format(default='what it was trained on')}, to show what activates the filters",
    )
    _add_pictures(p)
    p.add_argument(
        "-o",
        "--out",
        default=None,
        metavar="FILE",
        help="page to write (default: IMAGE-explained.html)",
    )
    p.add_argument("--open", dest="open_", action="store_true", help="open the page in the browser")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _add_pictures(p: ArgumentParser) -> None:
    p.add_argument(
        "--pictures",
        default=None,
        metavar="FOLDER",
        help="pictures of your own to show what activates the filters, without labels",
    )


def _export(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.export import export

        return export(**options)

    add_model(p)
    p.add_argument(
        "--to",
        choices=EXPORTS,
        default=None,
        help="onnx: a program for ONNX Runtime and others; pth: PyTorch's weights; safetensors: "
        "the whole network; torch-export: PyTorch's exported program; hub: a folder with a model "
        "card, as the Hugging Face hub has them (default: by the suffix of --out, or onnx)",
    )
    p.add_argument(
        "-o",
        "--out",
        default=None,
        metavar="FILE",
        help="file or folder to write (default: MODEL's name and the format's suffix, in this "
        "folder)",
    )
    p.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    p.add_argument(
        "--float-input",
        dest="pictures",
        action="store_false",
        help="take preprocessed float32 [batch, channels, height, width], not uint8 pictures "
        "[batch, height, width, channels]",
    )
    p.add_argument(
        "--no-softmax", dest="softmax", action="store_false", help="give scores, not probabilities"
    )
    p.add_argument(
        "--int8", action="store_true", help="quantize ONNX to 8 bits, by pictures of the training"
    )
    p.add_argument(
        "--data",
        default=None,
        help=f"{DATA.format(default='what it was trained on, if it is here')}, to compare results "
        "on, and for --int8",
    )
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _push(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.hub import push

        return push(**options)

    add_model(p)
    p.add_argument("repository", metavar="OWNER/NAME", help="the repository; made if there is none")
    p.add_argument("--private", action="store_true", help="a new one is for its owner alone")
    p.add_argument("--overwrite", action="store_true", help="replace a model that is there")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _pull(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.hub import pull

        return pull(**options)

    p.add_argument("repository", metavar="OWNER/NAME", help="the repository")
    p.add_argument(
        "folder", nargs="?", default=None, metavar="DEST", help="folder to write (default: NAME)"
    )
    p.add_argument("--overwrite", action="store_true", help="replace a model in that folder")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _models(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.models import models

        return models(**options)

    p.add_argument(
        "--time",
        dest="time_",
        action="store_true",
        help="measure what one picture takes on this machine, which compiles kernels first",
    )
    add_threads(p)
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _summary(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.summary import summary

        return summary(**options)

    add_model(p, f"a network by name, my_net.py:make, {MODEL}")
    p.add_argument("--batch-size", type=int, default=128, help="images per batch (default: 128)")
    p.add_argument("--width", type=float, default=1, help="of a built-in network (default: 1)")
    p.add_argument("--classes", type=int, default=10, help="classes of a new network (default: 10)")
    add_threads(p)
    p.add_argument("--profile", action="store_true", help="measure each layer's time in a step")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _explore(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.explore import explore

        return explore(**options)

    add_model(
        p,
        f"a network by name, my_net.py:make, {MODEL} (default: a new simple-cnn)",
        nargs="?",
        default=None,
    )
    p.add_argument(
        "--data",
        default=None,
        help=DATA.format(default="what it was trained on, or shapes"),
    )
    _add_pictures(p)
    p.add_argument("--host", default="127.0.0.1", help="address to serve (default: 127.0.0.1)")
    p.add_argument("--port", type=int, default=8421, help="port; 0: any free one (default: 8421)")
    p.add_argument("--no-browser", action="store_true", help="do not open a browser")
    add_threads(p)
    p.set_defaults(run=run)


def _serve(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.serve import serve

        return serve(**options)

    from neocog.serving.limits import Limits

    add_model(p)
    p.add_argument("--host", default="127.0.0.1", help="address to serve (default: 127.0.0.1)")
    p.add_argument("--port", type=int, default=8000, help="port; 0: any free one (default: 8000)")
    p.add_argument(
        "--workers", type=int, default=None, help="processes that answer (default: one a core)"
    )
    p.add_argument(
        "--threads",
        type=int,
        default=None,
        help="threads of a worker that compute (default: the cores divided among the workers)",
    )
    p.add_argument("--batch", type=int, default=64, help="most pictures of a batch (default: 64)")
    p.add_argument(
        "--batch-wait",
        type=float,
        default=2.0,
        metavar="MS",
        help="milliseconds that a picture waits for others while nothing is computed (default: 2)",
    )
    p.add_argument(
        "--allow-host",
        action="append",
        default=None,
        metavar="NAME",
        help="another name of this server in requests, such as a proxy's; * is any (repeatable)",
    )
    for option, what in (
        ("body", "bytes of a request"),
        ("pixels", "pixels of a request's pictures"),
        ("pictures", "pictures of a request"),
        ("connections", "open connections of a worker"),
    ):
        default = getattr(Limits, option)
        p.add_argument(
            f"--most-{option}",
            type=int,
            default=None,
            metavar="N",
            help=f"{what} (default: {default:,})",
        )
    p.set_defaults(run=run)


def _bench(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.bench import bench

        return bench(**options)

    add_threads(p)
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _data(p: ArgumentParser) -> None:
    within = p.add_subparsers(dest="within", metavar="WHAT", help="what is done")
    p.set_defaults(run=partial(overview, p))

    def run(**options: Any) -> int:
        from neocog.cli.data import check

        return check(**options)

    p = add_command(
        within, "check", "find broken, duplicate and mislabeled pictures, and print statistics"
    )
    add_check_options(p)
    add_threads(p)
    p.add_argument("--json", dest="json_", action="store_true", help="print all findings as JSON")
    p.set_defaults(run=run)


def _cache(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.cache import cache

        return cache(**options)

    p.add_argument(
        "action", nargs="?", choices=["list", "clear"], default="list", help="(default: list)"
    )
    p.add_argument(
        "what",
        nargs="?",
        choices=["pictures", "kernels", "all"],
        default="all",
        help="what to list or clear (default: all)",
    )
    p.add_argument("--old", action="store_true", help="clear only what other versions left behind")
    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _kernels(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.kernels import kernels

        return kernels(**options)

    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)


def _warm_up(p: ArgumentParser) -> None:
    def run(**options: Any) -> int:
        from neocog.cli.warm_up import warm_up

        return warm_up(**options)

    p.add_argument("--json", dest="json_", action="store_true", help="print JSON")
    p.set_defaults(run=run)
