"""A network as the engine takes it."""


def parts_of(network):
    """Its graph, its state and its preprocessing, as `neocog.engine.Trainer` wants them first."""
    return network.graph, network.state_dict(), network.preprocessing
