/** Ancestral sampling: one branch, drawn token by token from the guided law. */

import { z } from 'zod';
import type { Strategy } from '../core/strategy.ts';
import { alive } from './select.ts';

export interface Sample {
  /** Tokens between two yields; 1 streams each token as it is drawn. */
  readonly chunk: number;
}

const fields = z.strictObject({});

export const sample: Strategy<Sample> = {
  parse: (raw, { stream, maxTokens }) => ({ ...fields.parse(raw), chunk: stream ? 1 : maxTokens }),
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
