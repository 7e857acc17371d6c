/**
 * ReST-MCTS* (Zhang et al. 2024). Each iteration goes down by UCT, V + c sqrt(2 ln N_parent / N), an unvisited child
 * standing at V + 1; expands the leaf by b sampled segments, equal texts once, valued by the reward; rolls out from the best
 * child, V <- (1 - a) V + a max; and backs up the visit-weighted mean of children. Ends at a leaf of V >= gate, or with the
 * leaf of largest V after the iterations, or once it has stayed the same for `patience` of them; what is unfinished then is
 * drawn to its end. A segment that cannot be judged is no child, and ends a rollout. Leaves are parked: they hold no KV
 * between visits.
 */

import { either, integer, number, read, strict } from '../core/fields.ts';
import type { Score } from '../core/reward.ts';
import type { Strategy } from '../core/strategy.ts';
import type { Branch, Reach, Tree } from '../core/tree.ts';
import { answerField, answerIn, type Extract } from '../core/answer.ts';
import { segmentField } from './segment.ts';
import { alive, best, descending, largest, toTheEnd } from './select.ts';

export interface Mcts {
  readonly b: number;
  readonly c: number;
  readonly a: number;
  readonly gate: number;
  readonly segment: Reach;
  readonly iterations: number;
  /** Convergence: iterations in a row that the best leaf stays the same; Infinity: they do not end it. */
  readonly patience: number;
  /** End detector: a text that has an answer is not expanded; null: only what has finished is not. */
  readonly answer: Extract | null;
  /** Steps of a rollout, and samples per step. */
  readonly rollForward: number;
  readonly rollBranch: number;
  readonly chunk: number;
}

const fields = strict({
  branch: either(integer(1, 16), 3),
  exploration: either(number(0, 100), 0.7),
  mix: either(number(0, 1), 0.5),
  end_gate: either(number(-1e6, 1e6), 0.9),
  segment: either(segmentField, { tokens: 256, until: { text: ['\n'] } }),
  iterations: either(integer(1, 200), 40),
  patience: integer(1, 200).nullish(),
  answer: answerField.nullish(),
  roll_forward: either(integer(0, 8), 3),
  roll_branch: either(integer(1, 4), 1),
});

export const mcts: Strategy<Mcts> = {
  fields,
  parse(raw, { stream, maxTokens }) {
    const { branch: b, exploration: c, mix: a, end_gate: gate, ...rest } = read(fields, raw);
    const { segment, iterations, roll_forward: rollForward, roll_branch: rollBranch } = rest;
    const chunk = stream ? 1 : maxTokens;
    const [answer, patience] = [rest.answer ?? null, rest.patience ?? Infinity];
    return { b, c, a, gate, segment, iterations, patience, answer, rollForward, rollBranch, chunk };
  },
  needs: () => 'prefix',
  absolute: () => true, // values of all expansions compete
  peak({ b, rollBranch }) {
    const most = Math.max(b, 1 + rollBranch); // an expansion, or its best child and a rollout
    return { least: most, most };
  },

  async *search(tree, params) {
    const root = nodeOf(tree.root, null, 0);
    tree.park([tree.root]);
    let favourite = root;
    for (let i = 0, stayed = 0; i < params.iterations && stayed < params.patience; i++) {
      const leaf = selected(root, params.c);
      if (leaf !== root && leaf.value >= params.gate) break;
      if (isOpen(leaf, params)) await expand(tree, leaf, params);
      backUp(leaf);
      tree.note('root_value', root.value);
      const leaves = leavesOf(root);
      yield leaves.map(({ branch }) => branch);
      if (!leaves.some((one) => isOpen(one, params))) break;
      const first = bestOf(leaves);
      stayed = first === favourite ? stayed + 1 : 0;
      favourite = first;
    }
    const answer = bestOf(leavesOf(root)).branch;
    yield* toTheEnd(tree, answer, params.chunk);
    // Where no segment could be judged the whole must be.
    return root.barren ? best([answer], await tree.score([answer]), 1) : [answer];
  },
};

function bestOf(nodes: readonly Node[]): Node {
  const values = nodes.map(({ value }) => value);
  return nodes[largest(values, 1)[0]!]!;
}

const goesOn = (branch: Branch, { answer }: Mcts): boolean =>
  alive(branch) && (answer === null || answerIn(branch.text, answer) === null);

const isOpen = ({ branch, barren }: Node, params: Mcts): boolean =>
  !barren && goesOn(branch, params);

export interface Node {
  readonly branch: Branch;
  readonly parent: Node | null;
  children: Node[];
  value: number;
  visits: number;
  /** It was expanded, and nothing that follows it could be judged: it is not tried again. */
  barren: boolean;
}

/** Finite: an explored child can win before all are tried. */
const UNVISITED = 1;

const nodeOf = (branch: Branch, parent: Node | null, value: number): Node => ({
  branch,
  parent,
  children: [],
  value,
  visits: 0,
  barren: false,
});

export const uct = (value: number, visits: number, parentVisits: number, c: number): number =>
  visits === 0
    ? value + UNVISITED
    : value + c * Math.sqrt((2 * Math.log(Math.max(1, parentVisits))) / visits); // ln 0 of a fresh parent

function selected(root: Node, c: number): Node {
  let node = root;
  while (node.children.length > 0) {
    const { visits, children } = node;
    const values = children.map((n) => uct(n.value, n.visits, visits, c));
    node = children[largest(values, 1)[0]!]!;
  }
  return node;
}

const leavesOf = (node: Node): Node[] =>
  node.children.length === 0 ? [node] : node.children.flatMap(leavesOf);

/** Gives a leaf children; it is barren where none of them can be judged. */
async function expand(tree: Tree, node: Node, params: Mcts): Promise<void> {
  const twins = tree.fork(node.branch, params.b + 1).slice(1);
  await tree.extend(twins, params.segment);
  const different = distinct(twins);
  node.children = valued(different, await tree.score(different)).map(({ branch, value }) =>
    nodeOf(branch, node, value),
  );
  const [first] = node.children;
  node.barren = first === undefined;
  tree.park(twins.filter((twin) => twin !== first?.branch));
  if (first === undefined) return;
  const most = goesOn(first.branch, params) ? await rollout(tree, first.branch, params) : null;
  if (most !== null) {
    first.value = mixed(first.value, most, params.a);
    first.visits++;
  }
  tree.park([first.branch]);
}

const distinct = (branches: readonly Branch[]): Branch[] =>
  branches.filter((one, i) => branches.findIndex(({ text }) => text === one.text) === i);

/** Those that have a score, the best first, the earlier one on a tie. */
const valued = (branches: readonly Branch[], scores: readonly Score[]) =>
  branches
    .map((branch, i) => ({ branch, value: scores[i]!.value }))
    .filter(({ value }) => !Number.isNaN(value))
    .toSorted((a, b) => descending(a.value, b.value));

/** The largest value met on a greedy walk from a branch, as far as there are values; null: there was none. */
async function rollout(tree: Tree, from: Branch, params: Mcts): Promise<number | null> {
  const { rollForward, rollBranch, segment } = params;
  if (rollForward === 0) return null;
  let most: number | null = null;
  let head = tree.fork(from, 2)[1]!;
  for (let step = 0; step < rollForward && goesOn(head, params); step++) {
    const pool = tree.fork(head, rollBranch);
    await tree.extend(pool, segment);
    const [first] = valued(pool, await tree.score(pool));
    if (first !== undefined) {
      head = first.branch;
      most = Math.max(most ?? -Infinity, first.value);
    }
    tree.park(pool.filter((branch) => branch !== head));
    if (first === undefined) break;
  }
  tree.park([head]);
  return most;
}

/** V <- (1 - a) V + a max of the rollouts. */
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
  const visits = children.reduce((sum, child) => sum + child.visits, 0);
  if (visits === 0) return null;
  return children.reduce((sum, child) => sum + child.value * child.visits, 0) / visits;
}
