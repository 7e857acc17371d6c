/** Events to the JSON of OpenAI's chunks. What all chunks of a request share is put together once: thousands leave per second. */

import type { Failure } from '../core/errors.ts';
import type { StreamEvent } from '../core/events.ts';
import type { Draw } from '../core/tree.ts';
import type { Answer } from '../plan/request.ts';
import { alignmentOf, usageOf } from './accounts.ts';
import type { Reports } from './accounts.ts';
import type { ChoiceWords, Spelling, Teller } from './choices.ts';
import { explained } from './logprobs.ts';
import type { Spoken } from './logprobs.ts';
import { errorBody } from './reply.ts';
import type { Writer } from './surface.ts';
import { PromptDraws } from './whole.ts';

type Commit = Extract<StreamEvent, { kind: 'commit' }>;
type End = Extract<StreamEvent, { kind: 'finish' }>;

const NO_DRAWS: readonly Draw[] = [];

export class ChunkWriter implements Writer {
  readonly #words: ChoiceWords;
  readonly #answer: Answer;
  readonly #head: string;
  readonly #tail: string;
  readonly #spellers = new Map<number, Spelling>();
  readonly #prompts = new PromptDraws();
  readonly #tellers = new Map<number, Teller>();
  readonly #opened = new Set<number>();

  constructor(words: ChoiceWords, answer: Answer, created: number) {
    this.#words = words;
    this.#answer = answer;
    const { id, model } = answer;
    const members = JSON.stringify({ id, object: words.chunkObject, created, model });
    this.#head = `${members.slice(0, -1)},"choices":[`;
    this.#tail = answer.includeUsage ? '],"usage":null}' : ']}';
  }

  begin(): string[] {
    return [];
  }

  prompt(event: Extract<StreamEvent, { kind: 'prompt' }>): void {
    this.#prompts.add(event);
  }

  commit({ choice, text, draws }: Commit): string[] {
    const opening = this.#opening(choice);
    if (text === '' && draws.length === 0) return opening;
    const told = this.#teller(choice).delta(text);
    if (told.length === 0 && draws.length > 0) told.push(this.#words.closing);
    told.forEach((members, i) =>
      opening.push(this.#chunk(choice, members, i === 0 ? draws : NO_DRAWS, 'null')),
    );
    return opening;
  }

  finish({ choice, reason }: End): string[] {
    const opening = this.#opening(choice);
    const teller = this.#teller(choice);
    for (const members of teller.rest())
      opening.push(this.#chunk(choice, members, NO_DRAWS, 'null'));
    const why = `"${teller.reason(reason)}"`;
    opening.push(this.#chunk(choice, this.#words.closing, NO_DRAWS, why));
    return opening;
  }

  /** After the last choice: usage and alignment, where they were asked for. */
  closing(reports: Reports): string[] {
    const { includeUsage, includeAlignment } = this.#answer;
    if (!includeUsage && !includeAlignment) return [];
    const usage = includeUsage ? `,"usage":${JSON.stringify(usageOf(this.#answer, reports))}` : '';
    const alignment = includeAlignment
      ? `,"alignment":${JSON.stringify(alignmentOf(this.#answer, reports))}`
      : '';
    return [`${this.#head}]${usage}${alignment}}`];
  }

  failed(failure: Failure, request: string): string[] {
    return [JSON.stringify(errorBody(failure, request))];
  }

  /** A socket says so by itself. */
  cancelled(): string[] {
    return [];
  }

  #opening(choice: number): string[] {
    if (this.#opened.has(choice)) return [];
    this.#opened.add(choice);
    const members = this.#words.opening(this.#answer, choice);
    if (members === null) return [];
    const repeated = this.#words.repeats?.(this.#answer, choice, this.#prompts) ?? [];
    return [this.#chunk(choice, members, NO_DRAWS, 'null', repeated)];
  }

  #teller(choice: number): Teller {
    const teller = this.#tellers.get(choice) ?? this.#words.teller(this.#answer, choice);
    this.#tellers.set(choice, teller);
    return teller;
  }

  #chunk(
    choice: number,
    members: string,
    draws: readonly Draw[],
    reason: string,
    before: readonly Spoken[] = NO_DRAWS,
  ): string {
    const logprobs =
      this.#answer.logprobs === null || draws.length + before.length === 0
        ? 'null'
        : JSON.stringify(this.#spelling(choice)(draws, before));
    const why =
      this.#answer.explain && draws.length > 0
        ? `,"alignment":${JSON.stringify({ tokens: explained(draws, this.#answer) })}`
        : '';
    return `${this.#head}{"index":${choice},${members},"logprobs":${logprobs},"finish_reason":${reason}${why}}${this.#tail}`;
  }

  #spelling(choice: number): Spelling {
    const spelling = this.#spellers.get(choice) ?? this.#words.speller(this.#answer, choice);
    this.#spellers.set(choice, spelling);
    return spelling;
  }
}
