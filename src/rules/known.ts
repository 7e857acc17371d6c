/** The rules in use, by key: what one request has found out about a rule serves the next. Bounded in bytes. */

import type { Vocabulary } from '../core/model.ts';
import type { RuleNetwork, RuleState } from '../core/rule.ts';
import { Automaton } from './automaton.ts';

export class KnownRules {
  readonly #vocabulary: Vocabulary;
  readonly #most: number;
  readonly #known = new Map<string, Automaton>();

  /** @param most bytes of all that is remembered; the rules that were asked for longest ago are forgotten first */
  constructor(vocabulary: Vocabulary, most: number) {
    [this.#vocabulary, this.#most] = [vocabulary, most];
  }

  /** Held by what is remembered, by estimate. */
  get bytes(): number {
    let total = 0;
    for (const each of this.#known.values()) total += each.bytes;
    return total;
  }

  /** Where an answer under a network starts. */
  start(network: RuleNetwork): RuleState {
    const found = this.#known.get(network.key);
    const automaton = found ?? new Automaton(network, this.#vocabulary, this.#most / 2);
    this.#known.delete(network.key);
    let total = automaton.bytes + this.bytes;
    for (const [key, oldest] of this.#known) {
      if (total <= this.#most) break;
      total -= oldest.bytes;
      this.#known.delete(key);
    }
    if (total <= this.#most) this.#known.set(network.key, automaton);
    return automaton.start;
  }
}
