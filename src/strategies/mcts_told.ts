/**
 * The tree as a value model is trained on it (ReST-MCTS*, Zhang et al. 2024): each node with its value and, where the truth
 * is known, with the value that it should have had,
 *   V_k = max(0, V_k-1 + (1 - V_k-1) r / m), 0 at the root.                                           (1)
 * Where a right answer follows, r is 1 and m the fewest steps to it, this one counted. Where only wrong ones do, r is -1 and
 * m that of the nearest node above from which there is a right one. Where no answer follows, nothing is known.
 */

import { answerIn, isNumber, type Extract } from '../core/answer.ts';
import type { ToldNode } from '../core/tree.ts';
import { leavesOf, type Node } from './mcts_node.ts';

/** Where answers stand, and what a right one says; null: nobody said. */
export interface Truth {
  readonly answer: Extract | null;
  readonly truth: string | null;
}

/** All nodes, those of fewer steps first: parents before their children. */
export function told(root: Node, by: Truth): ToldNode[] {
  const outcomes = new Map(leavesOf(root).map((leaf) => [leaf, isRight(leaf, by)]));
  const targets = targetsOf(root, outcomes);
  const nodes = [root];
  for (const node of nodes) nodes.push(...node.children); // what is pushed is visited too
  const places = new Map(nodes.map((node, i) => [node, i]));
  return nodes.map((node) => ({
    parent: node.parent === null ? null : places.get(node.parent)!,
    text: node.made.text.slice(node.parent?.made.text.length ?? 0),
    tokens: node.made.tokens,
    value: node.value,
    visits: node.visits,
    right: outcomes.get(node) ?? null,
    target: targets.get(node) ?? null,
  }));
}

/** Null: it has not come to an answer, or nobody said what is right. */
function isRight({ made: { text, finish } }: Node, { answer, truth }: Truth): boolean | null {
  if (answer === null || truth === null) return null;
  const found = answerIn(text, answer);
  if (found === null) return finish === null ? null : false;
  return isNumber(found, truth) || found.toLowerCase() === truth.trim().toLowerCase();
}

/** (1) of a node. @param parent V of the one above @param steps m */
export const target = (parent: number, r: 1 | -1, steps: number): number =>
  Math.max(0, parent + ((1 - parent) * r) / steps);

/** V of every node of which something is known. */
function targetsOf(
  root: Node,
  outcomes: ReadonlyMap<Node, boolean | null>,
): ReadonlyMap<Node, number> {
  const right = new Map<Node, number>(); // m of those that a right answer follows
  const wrong = new Set<Node>();
  const look = (node: Node): void => {
    node.children.forEach(look);
    const steps = node.children.flatMap((child) => right.get(child) ?? []);
    if (outcomes.get(node) === true) right.set(node, 1);
    else if (steps.length > 0) right.set(node, Math.min(...steps) + 1);
    else if (outcomes.get(node) === false || node.children.some((one) => wrong.has(one)))
      wrong.add(node);
  };
  look(root);
  const targets = new Map<Node, number>();
  const place = (node: Node, above: number, value: number): void => {
    const steps = right.get(node) ?? (wrong.has(node) ? above : undefined);
    if (steps === undefined) return;
    const own = node === root ? value : target(value, right.has(node) ? 1 : -1, steps);
    targets.set(node, own);
    for (const child of node.children) place(child, steps, own);
  };
  if (right.has(root)) place(root, 0, 0);
  return targets;
}
