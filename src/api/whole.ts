/** Events to whole choices, for clients that do not stream. */

import type { ChoiceReport, StreamEvent } from '../core/events.ts';
import type { Draw, Finish } from '../core/tree.ts';
import type { Listener } from './relay.ts';

interface WholeChoice {
  text: string;
  readonly draws: Draw[];
  reason: Finish | null;
}

/** By index. */
export type WholeChoices = ReadonlyMap<number, Readonly<WholeChoice>>;

/** Says nothing while it listens. */
export class Collector implements Listener {
  readonly #choices = new Map<number, WholeChoice>();
  #reports: ReadonlyMap<number, ChoiceReport> = new Map();

  get choices(): WholeChoices {
    return this.#choices;
  }

  get reports(): ReadonlyMap<number, ChoiceReport> {
    return this.#reports;
  }

  begin(): [] {
    return [];
  }

  commit({ choice, text, draws }: Extract<StreamEvent, { kind: 'commit' }>): [] {
    const kept = this.#choice(choice);
    kept.text += text;
    for (const draw of draws) kept.draws.push(draw);
    return [];
  }

  finish({ choice, reason }: Extract<StreamEvent, { kind: 'finish' }>): [] {
    this.#choice(choice).reason = reason;
    return [];
  }

  closing(reports: ReadonlyMap<number, ChoiceReport>): [] {
    this.#reports = reports;
    return [];
  }

  #choice(index: number): WholeChoice {
    const known = this.#choices.get(index) ?? { text: '', draws: [], reason: null };
    this.#choices.set(index, known);
    return known;
  }
}
