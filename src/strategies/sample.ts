/** Ancestral sampling: one branch, drawn token by token from the guided law. */

import { read, strict } from '../core/fields.ts';
import { exactly, type Search, type Strategy } from '../core/strategy.ts';
import type { Tree } from '../core/tree.ts';
import { alive } from './select.ts';

interface Sample {
  /** Tokens between two yields; 1 streams each token as it is drawn. */
  readonly chunk: number;
}

async function* search(tree: Tree, { chunk }: Sample): Search {
  const answer = tree.root;
  while (alive(answer)) {
    await tree.extend([answer], { tokens: chunk });
    yield [answer];
  }
  return [answer];
}

const fields = strict({});

export const sample: Strategy<Sample> = {
  fields,
  parse: (raw, { stream, maxTokens }) => ({ ...read(fields, raw), chunk: stream ? 1 : maxTokens }),
  needs: () => 'nothing',
  peak: () => exactly(1),
  search,
};
