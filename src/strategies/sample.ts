/** Ancestral sampling: one branch, drawn token by token from the guided law. */

import { read, strict } from '../core/fields.ts';
import type { Strategy } from '../core/strategy.ts';
import { alive } from './select.ts';

export interface Sample {
  /** Tokens between two yields; 1 streams each token as it is drawn. */
  readonly chunk: number;
}

const fields = strict({});

export const sample: Strategy<Sample> = {
  fields,
  parse: (raw, { stream, maxTokens }) => ({ ...read(fields, raw), chunk: stream ? 1 : maxTokens }),
  needs: () => 'nothing',
  peak: () => ({ least: 1, most: 1 }),

  async *search(tree, { chunk }) {
    const answer = tree.root;
    while (alive(answer)) {
      await tree.extend([answer], { tokens: chunk });
      yield [answer];
    }
    return [answer];
  },
};
