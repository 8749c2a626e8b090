"""Train and eval mode without walking a model each time.

``nn.Module.train`` takes some 2 µs a module, so a millisecond or more for a language model, and monitoring switches
twice an iteration. Where no module does more than keep a flag, setting the flags is the same and far less work.
"""

from collections.abc import Iterable, Sequence

from torch import nn


def modules_of(model: nn.Module) -> list[nn.Module]:
    """Return what ``model.modules()`` yields, in the same order.

    :param model: the model.
    """
    found: dict[int, nn.Module] = {}
    waiting = [model]
    while waiting:
        module = waiting.pop()
        if id(module) not in found:
            found[id(module)] = module
            waiting.extend(child for child in reversed(module._modules.values()) if child is not None)
    return list(found.values())


def set_mode(model: nn.Module, modules: Sequence[nn.Module], training: bool) -> None:
    """Do what ``model.train()`` and ``model.eval()`` do.

    :param model: the model.
    :param modules: all of its modules.
    :param training: True for train mode, False for eval mode.
    """
    if only_flags(modules):
        set_flags((module, training) for module in modules)
    elif training:
        model.train()
    else:
        model.eval()


def only_flags(modules: Sequence[nn.Module]) -> bool:
    """Say whether switching the mode of these modules means setting their flags, and nothing else.

    :param modules: the modules.
    """
    kinds: set[type[nn.Module]] = set(map(type, modules))
    special = {kind for kind in kinds if kind.train is not nn.Module.train or kind.eval is not nn.Module.eval}
    if not all(map(_from_transformers, special)):
        return False
    return not special or not any(type(m) in special and getattr(m, "use_kernels", False) for m in modules)


def set_flags(modes: Iterable[tuple[nn.Module, bool]]) -> None:
    """Set single modules' flags, past ``nn.Module.__setattr__``.

    :param modes: modules and whether each is in train mode.
    """
    for module, training in modes:
        module.__dict__["training"] = training


def _from_transformers(kind: type[nn.Module]) -> bool:
    """Transformers' own methods set flags, and recast kernels where those are used."""
    home = "transformers.modeling_utils"
    return kind.train.__module__ == home and kind.eval.__module__ == home
