/** What rewards were asked in one tree, as many evaluations as its report can hold. */

import type { Evaluation } from '../core/reward.ts';

const MOST = 256;

export class Evaluations {
  readonly kept: Evaluation[] = [];

  /** A member that fails is never left out, however many came before. */
  readonly told = (one: Evaluation): void => {
    const news =
      one.outcome !== 'ok' &&
      !this.kept.some(({ member, outcome }) => member === one.member && outcome === one.outcome);
    if (news || this.kept.length < MOST) this.kept.push(one);
  };
}
