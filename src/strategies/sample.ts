/** Ancestral sampling: one branch, drawn token by token from the guided law. */

import { read, strict } from '../core/fields.ts';
import { exactly, type Search, type Strategy } from '../core/strategy.ts';
import type { Tree } from '../core/tree.ts';
import { toTheEnd } from './select.ts';

async function* search(tree: Tree): Search {
  yield* toTheEnd(tree, tree.root);
  return [tree.root];
}

const fields = strict({});

export const sample: Strategy<object> = {
  fields,
  parse: (raw) => read(fields, raw),
  needs: () => 'nothing',
  peak: () => exactly(1),
  search,
};
