"""Two models on the same objects: which one is better, and how sure that is."""

from dataclasses import dataclass
from typing import Any

from scipy.special import betainc


@dataclass
class Comparison:
    """How the candidate and the champion did on the objects whose class both can name; counted as objects come by."""

    model_version: str
    """The champion's."""
    objects: int = 0
    left_out: int = 0
    """Test objects of a class that the champion does not know."""
    candidate_right: int = 0
    champion_right: int = 0
    only_candidate_right: int = 0
    only_champion_right: int = 0
    by_machine: int = 0
    """Of those that only the champion got right, how many have a machine's label: maybe its own."""

    def add(self, *, candidate: bool, champion: bool, by_machine: bool) -> None:
        """One object: whether each model got it right."""
        self.objects += 1
        self.candidate_right += candidate
        self.champion_right += champion
        self.only_candidate_right += candidate and not champion
        self.only_champion_right += champion and not candidate
        self.by_machine += champion and not candidate and by_machine

    @property
    def p_worse(self) -> float:
        """How likely the champion would be as far ahead, or farther, if both were equally good."""
        return at_least(self.only_champion_right, self.only_champion_right + self.only_candidate_right)

    @property
    def p_better(self) -> float:
        """How likely the candidate would be as far ahead, or farther, if both were equally good."""
        return at_least(self.only_candidate_right, self.only_champion_right + self.only_candidate_right)

    def described(self) -> dict[str, Any]:
        return {
            "model_version": self.model_version,
            "objects": self.objects,
            "left_out": self.left_out,
            "accuracy": self.champion_right / self.objects if self.objects else None,
            "candidate_accuracy": self.candidate_right / self.objects if self.objects else None,
            "only_candidate_right": self.only_candidate_right,
            "only_champion_right": self.only_champion_right,
            "only_champion_right_by_machine": self.by_machine,
            "p_worse": self.p_worse,
            "p_better": self.p_better,
        }


def at_least(count: int, trials: int) -> float:
    """The probability of `count` heads or more in `trials` tosses of a fair coin.

    The exact form of McNemar's test: objects that both models get right, or both wrong, say nothing about which is
    better; the others fall to either side like a coin when both are equally good. Q. McNemar, 1947,
    https://doi.org/10.1007/BF02295996; exact and one-sided as in M. W. Fagerland et al., 2013,
    https://doi.org/10.1186/1471-2288-13-91.
    """
    return 1.0 if count == 0 else float(betainc(count, trials - count + 1, 0.5))
