/** An engine whose trees have a reward, and whose strategies can be watched, or made to fail. */

import type { Engine, Session } from '../../src/core/engine.ts';
import type { Score } from '../../src/core/reward.ts';
import type { Branch, Token } from '../../src/core/tree.ts';

/** In [0, 1), a hash of the tokens: any prefix has one. */
export function hashReward({ tokens }: Branch): number {
  let h = 7;
  for (const token of tokens) h = Math.imul(h ^ token, 0x85ebca6b) ^ (h >>> 13);
  return (h >>> 0) / 2 ** 32;
}

export interface Watch {
  readonly reward?: (branch: Branch) => number;
  /** Called before each call of a strategy, with how many came before. */
  readonly onCall?: (n: number, name: string) => void;
  readonly onKeep?: (branches: readonly Branch[]) => void;
}

const CALLS = [
  'fork',
  'twins',
  'reorder',
  'take',
  'extend',
  'peek',
  'push',
  'park',
  'ask',
] as const;
const WAITS: ReadonlySet<string> = new Set(['extend', 'peek', 'ask']);

export function rewarded(engine: Engine, watch: Watch = {}): Engine {
  return {
    async open(opening, signal) {
      const session = await engine.open(opening, signal);
      instrument(session, watch);
      return session;
    },
  };
}

function instrument(session: Session, { reward, onCall, onKeep }: Watch): void {
  let n = 0;
  for (const name of CALLS) {
    const call = session[name].bind(session) as (...args: unknown[]) => unknown;
    const counted = (...args: unknown[]): unknown => (onCall?.(n++, name), call(...args));
    const later = async (...args: unknown[]): Promise<unknown> => counted(...args);
    Object.defineProperty(session, name, { value: WAITS.has(name) ? later : counted });
  }
  const keep = session.keep.bind(session);
  Object.defineProperty(session, 'keep', {
    value: (branches: readonly Branch[]) => (onKeep?.(branches), keep(branches)),
  });
  type ScoreCall = (branches: readonly Branch[]) => Promise<readonly Score[]>;
  let inner: ScoreCall = async (branches) =>
    branches.map((one) => ({ value: (reward ?? hashReward)(one), parts: {} }));
  const score: ScoreCall = async (branches) => {
    onCall?.(n++, 'score');
    return inner(branches);
  };
  // The runner sets the plan's reward, which a watch may stand in for.
  Object.defineProperty(session, 'score', {
    get: () => score,
    set: (planned: ScoreCall) => {
      if (reward === undefined) inner = planned;
    },
  });
}

/** Whether `tokens` goes on from one of `heads`. */
export const descends = (tokens: readonly Token[], heads: readonly (readonly Token[])[]): boolean =>
  heads.some((head) => head.every((token, i) => tokens[i] === token));
