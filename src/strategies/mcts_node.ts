/** The nodes of ReST-MCTS* (Zhang et al. 2024): a branch each, how good it looks, and how often the search came through. */

import { sum } from '../core/math.ts';
import type { Branch } from '../core/tree.ts';
import { largest } from './select.ts';

export interface Node {
  readonly branch: Branch;
  readonly parent: Node | null;
  /** Best first, as they were valued when they were made. */
  children: Node[];
  value: number;
  visits: number;
  /** Of the branch as it was when the node was made: a leaf may be drawn on. */
  readonly made: Pick<Branch, 'text' | 'finish'> & { readonly tokens: number };
  /** It was expanded, and nothing that follows it could be judged: it is not tried again. */
  barren: boolean;
}

export const nodeOf = (branch: Branch, parent: Node | null, value: number): Node => ({
  branch,
  parent,
  children: [],
  value,
  visits: 0,
  made: { text: branch.text, finish: branch.finish, tokens: branch.tokens.length },
  barren: false,
});

/** Finite: an explored child can win before all are tried. */
const UNVISITED = 1;

export const uct = (value: number, visits: number, parentVisits: number, c: number): number =>
  visits === 0
    ? value + UNVISITED
    : value + c * Math.sqrt((2 * Math.log(Math.max(1, parentVisits))) / visits); // ln 0 of a fresh parent

/** The leaf that UCT goes down to. */
export function selected(root: Node, c: number): Node {
  let node = root;
  while (node.children.length > 0) {
    const { visits, children } = node;
    const values = children.map((n) => uct(n.value, n.visits, visits, c));
    node = children[largest(values, 1)[0]!]!;
  }
  return node;
}

export const leavesOf = (node: Node): Node[] =>
  node.children.length === 0 ? [node] : node.children.flatMap(leavesOf);

/** The first of those of largest value. */
export function bestOf(nodes: readonly Node[]): Node {
  const values = nodes.map(({ value }) => value);
  return nodes[largest(values, 1)[0]!]!;
}

/** V <- (1 - a) V + a max of the rollout. */
export const mixed = (value: number, most: number, a: number): number => (1 - a) * value + a * most;

/** Counts the visit from a leaf up to the root; a value is the visit-weighted mean of its children's. */
export function backUp(leaf: Node): void {
  for (let node: Node | null = leaf; node !== null; node = node.parent) {
    node.visits++;
    node.value = backed(node.children) ?? node.value;
  }
}

/** Null where no child was visited. */
export function backed(children: readonly Pick<Node, 'value' | 'visits'>[]): number | null {
  const visits = sum(children.map((child) => child.visits));
  if (visits === 0) return null;
  return sum(children.map((child) => child.value * child.visits)) / visits;
}
