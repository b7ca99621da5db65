"""The tree with a face's probabilities, in Graphviz's language."""

from collections.abc import Mapping

from hierarchy.colours import COLOURS
from hierarchy.taxonomy import ROUTER, TREE


def dot(shares: Mapping[str, float]) -> str:
    """A drawing of the tree, lines as wide as the probabilities.

    Args:
        shares: probability by leaf; a branch has the sum of its leaves.
    """
    lines = ["digraph { rankdir=LR; node [shape=box, style=filled, fontcolor=white, fontname=sans]"]
    lines.append(f'"{ROUTER}" [label="face", fillcolor="{COLOURS[ROUTER]}"]')
    for branch, leaves in TREE.items():
        lines += _child(ROUTER, branch, sum(shares[leaf] for leaf in leaves))
        for leaf in leaves:
            lines += _child(branch, leaf, shares[leaf])
    return "\n".join([*lines, "}"])


def _child(parent: str, name: str, share: float) -> list[str]:
    return [
        f'"{name}" [label="{name}  {share:.2f}", fillcolor="{COLOURS[name]}"]',
        f'"{parent}" -> "{name}" [penwidth={0.5 + 5 * share:.2f}, arrowhead=none]',
    ]
