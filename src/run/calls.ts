/** The calls of rewards in one tree, as many as its report can hold. */

import type { Evaluation } from '../core/reward.ts';

const MOST = 256;

export class Calls {
  readonly kept: Evaluation[] = [];

  /** A member that fails is never left out, however many calls came before. */
  readonly told = (call: Evaluation): void => {
    const news =
      call.outcome !== 'ok' &&
      !this.kept.some(({ member, outcome }) => member === call.member && outcome === call.outcome);
    if (news || this.kept.length < MOST) this.kept.push(call);
  };
}
