"""The tree with a face's probabilities, as a Graphviz graph."""

from collections.abc import Mapping

from hierarchy.taxonomy import ROUTER, Tree, colour


def dot(tree: Tree, shares: Mapping[str, float]) -> str:
    """A graph in Graphviz's language, with lines as wide as the probabilities.

    Args:
        tree: to draw.
        shares: probability by leaf; a branch has the sum of its leaves.
    """
    lines = ["digraph { rankdir=LR; node [shape=box, style=filled, fontcolor=white, fontname=sans]"]
    lines.append(f'"{ROUTER}" [label="face", fillcolor="{colour(ROUTER)}"]')
    for branch, leaves in tree.children.items():
        # a branch of one leaf may have that leaf's name
        lines += _child(ROUTER, f"branch {branch}", branch, sum(shares[leaf] for leaf in leaves))
        for leaf in leaves:
            lines += _child(f"branch {branch}", f"leaf {leaf}", leaf, shares[leaf])
    return "\n".join([*lines, "}"])


def _child(parent: str, child: str, name: str, share: float) -> list[str]:
    return [
        f'"{child}" [label="{name}  {share:.2f}", fillcolor="{colour(name)}"]',
        f'"{parent}" -> "{child}" [penwidth={0.5 + 5 * share:.2f}, arrowhead=none]',
    ]
