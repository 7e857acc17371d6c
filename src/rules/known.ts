/** The rules in use, by key: what one request has found out about a rule serves the next. Bounded in bytes. */

import type { Vocabulary } from '../core/model.ts';
import type { RuleNetwork, RuleState } from '../core/rule.ts';
import { Automaton } from './automaton.ts';

/**
 * Where an answer under a network starts.
 * @param bytes of all that is remembered; the rules that were asked for longest ago are forgotten first
 */
export function knownRules(
  vocabulary: Vocabulary,
  bytes: number,
): (network: RuleNetwork) => RuleState {
  const known = new Map<string, Automaton>();
  return (network) => {
    const found = known.get(network.key);
    const automaton = found ?? new Automaton(network, vocabulary, bytes / 2);
    known.delete(network.key);
    let total = automaton.bytes;
    for (const each of known.values()) total += each.bytes;
    for (const [key, oldest] of known) {
      if (total <= bytes) break;
      total -= oldest.bytes;
      known.delete(key);
    }
    if (total <= bytes) known.set(network.key, automaton);
    return automaton.start;
  };
}
