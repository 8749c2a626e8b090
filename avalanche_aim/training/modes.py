"""Train and eval mode without walking a model each time.

``nn.Module.train`` takes some 2 µs a module, so a millisecond or more for a language model, and monitoring switches
twice an iteration. Where no module does more than keep a flag, setting the flags is the same and far less work.
"""

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


class ModeSwitch:
    """Switches the mode of a model whose modules stay the same, as ``model.train()`` and ``model.eval()`` do.

    :param model: the model.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.modules = modules_of(model)
        self.only_flags = _only_flags(self.modules)

    def set(self, training: bool) -> None:
        """Set train or eval mode.

        :param training: True for train mode.
        """
        if self.only_flags:
            for module in self.modules:
                module.__dict__["training"] = training  # past nn.Module.__setattr__
        elif training:
            self.model.train()
        else:
            self.model.eval()

    @property
    def modes(self) -> list[bool]:
        """Whether each module is in train mode."""
        return [module.training for module in self.modules]

    def restore(self, modes: list[bool]) -> None:
        """Set each module to its own mode.

        :param modes: from :attr:`modes`.
        """
        # Parents come first, so that a module's own mode has the last word.
        for module, training in zip(self.modules, modes, strict=True):
            if self.only_flags:
                module.__dict__["training"] = training
            else:
                module.train(training)


def _only_flags(modules: list[nn.Module]) -> bool:
    """Say whether switching the mode of these modules means setting their flags, and nothing else."""
    kinds: set[type[nn.Module]] = set(map(type, modules))
    special = {kind for kind in kinds if kind.train is not nn.Module.train or kind.eval is not nn.Module.eval}
    if not all(map(_from_transformers, special)):
        return False
    return not special or not any(type(m) in special and getattr(m, "use_kernels", False) for m in modules)


def _from_transformers(kind: type[nn.Module]) -> bool:
    """Transformers' own methods set flags, and recast kernels where those are used."""
    home = "transformers.modeling_utils"
    return kind.train.__module__ == home and kind.eval.__module__ == home
