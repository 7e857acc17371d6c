/**
 * ReST-MCTS* (Zhang et al. 2024). Each iteration goes down to a leaf by UCT, an unvisited child standing at V + 1,
 *   V + c sqrt(2 ln N_parent / N);                                                                    (1)
 * expands it by b sampled segments, equal texts once, valued by the reward;                             (2)
 * rolls out from the best of them, greedily by value,
 *   V <- (1 - a) V + a max of the rollout;                                                             (3)
 * and backs up the visit-weighted mean of the children,
 *   V <- sum_child N V / sum_child N.                                                                  (4)
 * Ends at a leaf of V >= gate, or with the leaf of largest V after the iterations, or once it has stayed the same for
 * `patience` of them; what is unfinished then is drawn to its end. A segment that cannot be judged is no child, and ends
 * a rollout. Leaves are parked: they hold no KV between visits.
 */

import { answerField, answerIn, type Extract } from '../core/answer.ts';
import { either, integer, number, read, strict, text } from '../core/fields.ts';
import { exactly, type Search, type Strategy } from '../core/strategy.ts';
import type { Branch, Reach, Tree } from '../core/tree.ts';
import { backUp, bestOf, leavesOf, mixed, nodeOf, selected, type Node } from './mcts_node.ts';
import { told } from './mcts_told.ts';
import { segmentField } from './segment.ts';
import { alive, toTheEnd } from './select.ts';
import { distinct, tried } from './tried.ts';

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
  /** What the extractor has to find in a right answer; null: nobody knows. */
  readonly truth: string | null;
  /** Steps of a rollout, and samples per step. */
  readonly rollForward: number;
  readonly rollBranch: number;
}

async function* search(tree: Tree, mcts: Mcts): Search {
  const root = nodeOf(tree.root, null, 0);
  tree.park([tree.root]);
  tree.tell(() => told(root, mcts));
  let favourite = root;
  for (let i = 0, stayed = 0; i < mcts.iterations && stayed < mcts.patience; i++) {
    const leaf = selected(root, mcts.c); // (1)
    if (leaf !== root && leaf.value >= mcts.gate) break;
    if (isOpen(leaf, mcts)) await expand(tree, leaf, mcts); // (2), (3)
    backUp(leaf); // (4)
    tree.note('root_value', root.value);
    const leaves = leavesOf(root);
    yield leaves.map(({ branch }) => branch);
    if (!leaves.some((one) => isOpen(one, mcts))) break;
    const first = bestOf(leaves);
    stayed = first === favourite ? stayed + 1 : 0;
    favourite = first;
  }
  const answer = bestOf(leavesOf(root)).branch;
  yield* toTheEnd(tree, answer);
  if (root.barren) await tree.score([answer]); // no segment could be judged: the whole may be
  return [answer];
}

const goesOn = (branch: Branch, { answer }: Mcts): boolean =>
  alive(branch) && (answer === null || answerIn(branch.text, answer) === null);

const isOpen = ({ branch, barren }: Node, mcts: Mcts): boolean => !barren && goesOn(branch, mcts);

/** Gives a leaf children (2), the best of them mixed with a rollout (3); it is barren where none can be judged. */
async function expand(tree: Tree, leaf: Node, mcts: Mcts): Promise<void> {
  const segments = await tried(tree, tree.twins(leaf.branch, mcts.b), mcts.segment, distinct);
  leaf.children = segments.map(({ branch, value }) => nodeOf(branch, leaf, value));
  const [first] = leaf.children;
  leaf.barren = first === undefined;
  if (first === undefined) return;
  const most = await rollout(tree, first.branch, mcts);
  if (most !== null) {
    first.value = mixed(first.value, most, mcts.a);
    first.visits++;
  }
  tree.park([first.branch]);
}

/** The largest value met on a greedy walk from a branch, as far as there are values; null: there was none. */
async function rollout(tree: Tree, from: Branch, mcts: Mcts): Promise<number | null> {
  if (mcts.rollForward === 0 || !goesOn(from, mcts)) return null;
  let most: number | null = null;
  let head = tree.twins(from, 1)[0]!;
  for (let step = 0; step < mcts.rollForward && goesOn(head, mcts); step++) {
    const [next] = await tried(tree, tree.fork(head, mcts.rollBranch), mcts.segment);
    if (next === undefined) break;
    head = next.branch;
    most = Math.max(most ?? -Infinity, next.value);
  }
  tree.park([head]);
  return most;
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
  truth: text(200, 1).nullish(),
  roll_forward: either(integer(0, 8), 3),
  roll_branch: either(integer(1, 4), 1),
}).refine(({ answer, truth }) => answer || !truth, {
  message: 'an extractor beside truth, which says where the answer stands that is held against it',
  path: ['answer'],
});

export const mcts: Strategy<Mcts> = {
  fields,
  parse(raw) {
    const { branch: b, exploration: c, mix: a, end_gate: gate, ...rest } = read(fields, raw);
    const { segment, iterations, roll_forward: rollForward, roll_branch: rollBranch } = rest;
    const [answer, truth] = [rest.answer ?? null, rest.truth ?? null];
    const patience = rest.patience ?? Infinity;
    return { b, c, a, gate, segment, iterations, patience, answer, truth, rollForward, rollBranch };
  },
  needs: () => 'prefix',
  absolute: () => true, // values of all expansions compete
  peak: ({ b, rollBranch }) => exactly(Math.max(b, 1 + rollBranch)), // an expansion, or its best child and a rollout
  search,
};
