"""What is recorded, published and said while the method works."""

import warnings
from typing import Any

from .controller import Decision, MergeController
from .diagnosis import Diagnosis
from .engine import Engine
from .fusion import Fused
from .history import History, MergeRecord, MonitorRecord


class Recorder:
    """Writes the history, publishes numbers, and warns, of each thing once."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.diagnosis = diagnosis
        self.history = History()
        self._warned: set[tuple[str, int | None]] = set()

    def iteration(self, engine: Engine, controller: MergeController, loss: float, status: str) -> None:
        """Record a monitored iteration: its historical loss, and what became of it."""
        record = MonitorRecord(
            experience=controller.experience,
            iteration=controller.iteration,
            training_loss=float(engine.training_loss.detach()),
            historical_loss=loss,
            threshold=controller.forgetting.threshold,
            status=status,
            active=status in ("active", "forced"),
        )
        self.history.iterations.append(record)
        self.diagnosis.observe(record.training_loss)
        engine.publish({"HistoricalLoss": loss} | ({} if record.threshold is None else {"Threshold": record.threshold}))

    def merge(self, engine: Engine, controller: MergeController, decision: Decision, fused: Fused) -> None:
        """Record a merge."""
        merged = fused.culprit is None
        findings = self.diagnosis.update(decision, fused.kept) if merged else []
        place = controller.experience, controller.iteration
        record = MergeRecord.of(*place, decision, fused.losses, merged, fused.kept, findings)
        where = f"in experience {record.experience}, iteration {record.iteration}"
        for found in findings:
            self.warn_once(f"{found.name} {where}: {found.seen}; {found.remedy}", found.name, record.experience)
        self.history.merges.append(record)
        values = {
            "LearningSignal": record.learning_signal,
            "AlphaNew": record.alpha_new,
            "AlphaPast": record.alpha_past,
            "Merge": len(self.history.merges),
        }
        engine.publish(values | ({} if record.next_interval is None else {"Interval": record.next_interval}))

    def warn_once(self, message: str, topic: str = "not finite", experience: int | None = None) -> None:
        """Warn, and note it in the history, unless the same topic was warned of before.

        :param experience: where each experience may be warned of.
        """
        if (topic, experience) not in self._warned:
            warnings.warn(f"AIMMerging: {message} (said once)", stacklevel=4)
            self.history.notes.append(message)
            self._warned.add((topic, experience))

    def state_dict(self) -> dict[str, Any]:
        """Return the records, and what was said."""
        return {
            "diagnosis": self.diagnosis.state_dict(),
            "history": self.history.state_dict(),
            "warned": sorted(self._warned, key=str),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.diagnosis.load_state_dict(state["diagnosis"])
        self.history.load_state_dict(state["history"])
        self._warned = set(map(tuple, state["warned"]))
