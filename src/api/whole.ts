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
type WholeChoices = ReadonlyMap<number, Readonly<WholeChoice>>;

/** What an answer was told as. */
export interface Told {
  readonly choices: WholeChoices;
  readonly prompts: PromptDraws;
}

/** What the law said of prompts, each from its second token on. */
export class PromptDraws {
  readonly #draws = new Map<number, Draw[]>();

  add({ prompt, draws }: Extract<StreamEvent, { kind: 'prompt' }>): void {
    const known = this.of(prompt);
    this.#draws.set(prompt, known);
    for (const draw of draws) known.push(draw);
  }

  of(prompt: number): Draw[] {
    return this.#draws.get(prompt) ?? [];
  }
}

/** Says nothing while it listens. */
export class Collector implements Listener, Told {
  readonly prompts = new PromptDraws();
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

  prompt(event: Extract<StreamEvent, { kind: 'prompt' }>): void {
    this.prompts.add(event);
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
