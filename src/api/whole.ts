/** Events to whole choices, for clients that do not stream. */

import type { StreamEvent } from '../core/events.ts';
import type { Draw, Finish } from '../core/tree.ts';

interface Choice {
  text: string;
  readonly draws: Draw[];
  reason: Finish | null;
}

/** By index. */
export type Choices = ReadonlyMap<number, Readonly<Choice>>;

export class Collector {
  readonly #choices = new Map<number, Choice>();

  get choices(): Choices {
    return this.#choices;
  }

  commit({ choice, text, draws }: Extract<StreamEvent, { kind: 'commit' }>): void {
    const kept = this.#choice(choice);
    kept.text += text;
    for (const draw of draws) kept.draws.push(draw);
  }

  finish({ choice, reason }: Extract<StreamEvent, { kind: 'finish' }>): void {
    this.#choice(choice).reason = reason;
  }

  #choice(index: number): Choice {
    const known = this.#choices.get(index) ?? { text: '', draws: [], reason: null };
    this.#choices.set(index, known);
    return known;
  }
}
