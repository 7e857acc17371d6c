/** What every tree owes the strategies that grow it, the fakes' own too. */

import { expect, test } from 'vitest';
import type { Branch, Tree } from '../../src/core/tree.ts';
import { answerOf } from '../fakes/drive.ts';

/** What strategies see of a search that does not judge. */
type Growing = Omit<Tree, 'score' | 'note' | 'tell'>;

/** Opens a tree of width 8 whose answers are longer than 6 tokens, for `use`. */
export type WithTree = (use: (tree: Growing) => Promise<void>) => Promise<void>;

const idsOf = (branches: readonly Branch[]): number[] => branches.map(({ id }) => id);

export function obeysTreeLaws(name: string, withTree: WithTree): void {
  const grown = (use: (tree: Growing, root: Branch) => Promise<void>): Promise<void> =>
    withTree(async (tree) => {
      await tree.extend([tree.root], { tokens: 2 });
      await use(tree, tree.root);
    });

  test(`${name}: a fork is the branch and its twins, numbered as they are made`, () =>
    grown(async (tree, root) => {
      const fork = tree.fork(root, 3);
      const twins = tree.twins(root, 2);
      expect(fork[0]).toBe(root);
      expect(idsOf([...fork, ...twins])).toEqual([0, 1, 2, 3, 4]);
      for (const twin of twins) expect(answerOf(twin)).toEqual(answerOf(root));
      expect([tree.fork(root, 1), tree.twins(root, 0)]).toEqual([[root], []]);
    }));

  test(`${name}: twins go their own ways, and leave the branch where it is`, () =>
    grown(async (tree, root) => {
      const before = answerOf(root);
      const twins = tree.twins(root, 4);
      await tree.extend(twins, { tokens: 4 });
      expect(answerOf(root)).toEqual(before);
      expect(new Set(twins.map(({ tokens }) => String(tokens))).size).toBeGreaterThan(1);
    }));

  test(`${name}: reordered, each stands in its first place itself and a twin in the others`, () =>
    grown(async (tree, root) => {
      const all = tree.fork(root, 4);
      await tree.extend(all, { tokens: 2 });
      const before = all.map(answerOf);
      const places = [2, 0, 2, 2, 0];
      const moved = tree.reorder(all, places);
      expect(moved.map(answerOf)).toEqual(places.map((place) => before[place]));
      // Numbers are given by index, not by place: 4 is the twin of the first, 5 and 6 are those of the third.
      expect(idsOf(moved)).toEqual([2, 0, 5, 6, 4]);
      expect([moved[0], moved[1]]).toEqual([all[2], all[0]]);
      await tree.extend(moved, { tokens: 1 });
      expect(moved.map(({ tokens }) => tokens.length)).toEqual([5, 5, 5, 5, 5]);
      expect(tree.reorder(moved, [0, 1, 2, 3, 4])).toEqual(moved);
      expect(tree.reorder(moved, [])).toEqual([]);
    }));

  test(`${name}: what is taken has one more token, and the branch has not`, () =>
    grown(async (tree, root) => {
      const before = answerOf(root);
      const [, next] = await tree.peek(root, 3);
      const taken = tree.take(root, next!);
      expect(answerOf(root)).toEqual(before);
      expect(taken.tokens).toEqual([...before.tokens, next!.token]);
      tree.push(root, next!);
      expect(answerOf(taken)).toEqual(answerOf(root));
      await tree.extend([taken], { tokens: 1 });
      expect(taken.tokens).toHaveLength(4);
    }));
}
