/** Drives an engine as strategies do: opens a session, advances it, closes it. */

import { setMaxListeners } from 'node:events';
import type { Engine, Opening, Session } from '../../src/core/engine.ts';
import type { Branch, Draw, Finish, Reach } from '../../src/core/tree.ts';

/** All that may be compared of an answer: exact numbers included. */
export interface Answer {
  readonly tokens: readonly number[];
  readonly draws: readonly Draw[];
  readonly text: string;
  readonly logprob: number;
  readonly base: number;
  readonly logZ: number;
  readonly finish: Finish | null;
}

export const forever = new AbortController().signal;
setMaxListeners(0, forever); // one per open call

export const answerOf = (branch: Branch): Answer => ({
  tokens: [...branch.tokens],
  draws: [...branch.draws],
  text: branch.text,
  logprob: branch.logprob,
  base: branch.base,
  logZ: branch.logZ,
  finish: branch.finish,
});

/** One branch to its end, `chunk` tokens at a time. */
export async function answer(
  engine: Engine,
  opening: Opening,
  { signal = forever, chunk = 1000 }: { signal?: AbortSignal; chunk?: number } = {},
): Promise<Answer> {
  await using session = await engine.open(opening, signal);
  while (session.root.finish === null) {
    await session.extend([session.root], { tokens: chunk });
    session.keep([session.root]);
  }
  return answerOf(session.root);
}

/** Opens a session for `use` and closes it. */
export async function within<T>(
  engine: Engine,
  opening: Opening,
  use: (session: Session) => Promise<T>,
  signal: AbortSignal = forever,
): Promise<T> {
  await using session = await engine.open(opening, signal);
  return await use(session);
}

/** Advances branches by `tokens` each. */
export const advance = (
  session: Session,
  branches: readonly Branch[],
  tokens: number,
  reach: Partial<Reach> = {},
): Promise<void> => session.extend(branches, { tokens, ...reach });

/** `n` turns of the event loop: as many iterations, while the engine has work. */
export async function turns(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
}
