/** Events to one response, for clients that do not stream. */

import type { StreamEvent } from '../core/events.ts';
import type { Draw, Finish } from '../core/tree.ts';
import type { Answer } from '../plan/request.ts';
import { alignmentOf, usageOf } from './accounts.ts';
import type { Reports } from './accounts.ts';
import { explained } from './logprobs.ts';
import type { Surface } from './surface.ts';

interface Choice {
  text: string;
  readonly draws: Draw[];
  reason: Finish | null;
}

export class Collector {
  readonly #choices = new Map<number, Choice>();

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

  response(surface: Surface, answer: Answer, created: number, reports: Reports): object {
    const inOrder = [...this.#choices].toSorted(([a], [b]) => a - b);
    return {
      id: answer.id,
      object: surface.wholeObject,
      created,
      model: answer.model,
      choices: inOrder.map(([index, { text, draws, reason }]) => ({
        index,
        ...surface.message(text, answer, index),
        logprobs: answer.logprobs === null ? null : surface.speller(answer, index)(draws),
        finish_reason: reason,
        ...(answer.explain ? { alignment: { tokens: explained(draws, answer) } } : {}),
      })),
      usage: usageOf(answer, reports),
      alignment: alignmentOf(answer, reports),
    };
  }
}
