"""Saved networks for ``neocog explore``."""

import neocog
from neocog.cli import explore as explore_module  # noqa: F401  (patched below by its full name)
from neocog.data.shapes import CLASSES
from neocog.network_files import save_model


def saved(path, classes=CLASSES, **training):
    network = neocog.models.simple_cnn()
    network.initialize(3)
    if classes:
        network.name_classes(classes)
    save_model(network, path, training=training)
    return network
