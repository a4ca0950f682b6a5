"""``neocog train``."""

from neocog import SGD, Adam, evaluate, fit, load_data, models
from neocog.cli.display import Display
from neocog.cli.terminal import download_progress, say
from neocog.errors import NeocogError
from neocog.training.fit import check_settings
from neocog.training.run_folder import RunFolder
from neocog.training.torch_stream import TorchStream

__all__ = ["train"]


def train(
    data: str,
    model: str,
    epochs: int,
    batch_size: int,
    optimizer: str,
    lr: float,
    momentum: float | None,
    seed: int,
    threads: int | None,
    log_every: int,
    out: str | None,
    data_dir: str | None,
) -> int:
    """Train, evaluate, save; print the losses as the note does."""
    if optimizer == "adam" and momentum is not None:
        raise NeocogError("--momentum goes with --optimizer sgd; Adam has its own running means.")
    how = Adam(lr) if optimizer == "adam" else SGD(lr, 0.9 if momentum is None else momentum)
    # Before the data are loaded and anything is written: what is wrong here is wrong at once.
    check_settings(epochs, batch_size, threads, log_every)
    TorchStream(seed)
    network = models.make(model)
    loaded = load_data(data, data_dir=data_dir, progress=download_progress())
    settings = {
        "data": loaded.name,
        "model": model,
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": type(how).__name__,
        "lr": lr,
        **({"momentum": how.momentum} if isinstance(how, SGD) else {}),
        "seed": seed,
        "threads": threads,
        "log_every": log_every,
    }
    folder = RunFolder.create(out, f"{model}-{loaded.name}", settings)
    display = Display(folder, network, loaded.name, epochs)
    try:
        history = fit(
            network,
            loaded.train,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=how,
            seed=seed,
            threads=threads,
            log_every=log_every,
            classes=loaded.classes,
            watcher=display,
        )
        display.close()
        if history.interrupted:
            folder.save(network, history, loaded.name)
            folder.finish(history, None, "interrupted")
            say(f"Interrupted. The weights so far are in {folder.path}")
            return 130
        print("Training finished.")
        result = evaluate(network, loaded.test, threads=threads)
        folder.finish(history, result, "finished")
    except BaseException as error:
        display.close()
        folder.fail(error)
        if folder.holds_results:
            say(f"What was finished before is in {folder.path}")
        raise
    print(f"Test accuracy: {100 * result.accuracy:.2f} % of {len(loaded.test):,} images")
    print(f"Results: {folder.path}")
    return 0
