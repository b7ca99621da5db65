"""The tree with a face's probabilities, as a Graphviz graph."""

from collections.abc import Mapping
from typing import Final

from hierarchy.taxonomy import ROUTER, Tree, colour, ink
from hierarchy.vision.labels import percent

EDGE: Final = '"#808080"'  # legible on light and dark ground


def dot(tree: Tree, shares: Mapping[str, float]) -> str:
    """A graph in Graphviz's language, with lines as wide as the probabilities.

    Args:
        tree: to draw.
        shares: probability by leaf; a branch has the sum of its leaves.
    """
    lines = [f"digraph {{ rankdir=LR; bgcolor=transparent; edge [color={EDGE}]"]
    lines.append(f"node [shape=box, style=filled, color={EDGE}, fontname=sans]")
    lines.append(f'"{ROUTER}" [label="face", {_filled(ROUTER)}]')
    for branch, leaves in tree.children.items():
        # a branch of one leaf may have that leaf's name
        lines += _child(ROUTER, f"branch {branch}", branch, sum(shares[leaf] for leaf in leaves))
        for leaf in leaves:
            lines += _child(f"branch {branch}", f"leaf {leaf}", leaf, shares[leaf])
    return "\n".join([*lines, "}"])


def _child(parent: str, child: str, name: str, share: float) -> list[str]:
    return [
        f'"{child}" [label="{name}  {percent(share)}", {_filled(name)}]',
        f'"{parent}" -> "{child}" [penwidth={0.5 + 5 * share:.2f}, arrowhead=none]',
    ]


def _filled(name: str) -> str:
    return f'fillcolor="{colour(name)}", fontcolor="{ink(colour(name))}"'
