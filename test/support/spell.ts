/** Writes texts under a rule with a policy of its own: any allowed token, as a generator picks. */

import type { Vocabulary } from '../../src/core/model.ts';
import type { RuleState } from '../../src/core/rule.ts';
import { mulberry } from './mulberry.ts';

export interface Spelled {
  readonly text: string;
  /** It ended by itself. */
  readonly ended: boolean;
  readonly tokens: number;
}

/**
 * @param room most tokens, the end token among them
 * @param seed of the picks
 */
export function spell(
  start: RuleState,
  vocabulary: Vocabulary,
  { room, seed }: { readonly room: number; readonly seed: number },
): Spelled {
  const random = mulberry(seed);
  const bytes: number[] = [];
  let state: RuleState | null = start;
  for (let left = room; left > 0; left--) {
    const { tokens, distances }: RuleState['next'] = state!.next;
    const most = Math.max(left - 2, state!.distance - 1);
    const allowed = [...tokens].filter((_, i) => distances[i]! <= most);
    const pick = Math.floor(random() * (allowed.length + Number(state!.distance === 0)));
    const token = allowed[pick];
    if (token === undefined)
      return { text: textOf(bytes), ended: state!.distance === 0, tokens: room - left };
    bytes.push(...vocabulary.bytes(token));
    state = state!.after(token);
  }
  return { text: textOf(bytes), ended: false, tokens: room };
}

const textOf = (bytes: readonly number[]): string =>
  new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(Uint8Array.from(bytes));
