/**
 * Inference without a model: every answer repeats its prompt's text, a byte a token, until max_tokens.
 * A prompt may ask for trouble: `!fail` fails in mid-answer, `!refuse` before it, `!hang` never goes on, `!wait` never
 * begins, `!end` stops early.
 */

import { setImmediate as turn } from 'node:timers/promises';
import { ServeError, toFailure } from '../../src/core/errors.ts';
import type { ChoiceReport, StreamEvent } from '../../src/core/events.ts';
import type { EngineSnapshot, Inference } from '../../src/core/inference.ts';
import type { Judged, Judging } from '../../src/core/reward.ts';
import type { Draw } from '../../src/core/tree.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { byteCodec } from './codec.ts';

const SNAPSHOT: EngineSnapshot = {
  requestsRunning: 0,
  requestsWaiting: 3,
  kvUsage: 0.25,
  iterations: 10,
  rows: 40,
  prefillTokens: 100,
  decodeSeconds: 1,
  prefillSeconds: 0.5,
  iterationSeconds: 1.75,
  prefixQueries: 4,
  prefixHits: 1,
  prefixBytes: 4096,
  scoreBytes: 2048,
  ruleBytes: 1024,
  residentBytes: 1e8,
  heapBytes: 2e7,
  heapTotalBytes: 3e7,
  arrayBytes: 4e7,
  forwards: { tales: 10, 'arm-happy': 5 },
};

export class FakeInference implements Inference<Plan> {
  state: Inference<Plan>['state'] = 'ready';
  /** Requests that hold slots now; all that were submitted; events pulled so far. */
  running = 0;
  readonly plans: Plan[] = [];
  pulled = 0;

  snapshot(): Promise<EngineSnapshot> {
    return Promise.resolve({ ...SNAPSHOT, requestsRunning: this.running });
  }

  /** A text is worth its length; `!nan` is worth nothing, `!fail` fails, and `!hang` is never judged. */
  async judge({ reward, candidates }: Judging, signal: AbortSignal): Promise<Judged> {
    if (candidates.some(({ text }) => text.includes('!fail')))
      throw new ServeError('reward_failed', 'a reward model failed');
    if (candidates.some(({ text }) => text.includes('!hang'))) await this.#aborted(signal);
    const scores = candidates.map(({ text }) => {
      const value = text.includes('!nan') ? NaN : text.length;
      return { value, parts: Object.fromEntries(reward.uses.map(({ id }) => [id, value])) };
    });
    return { scores, evaluations: [] };
  }

  async #aborted(signal: AbortSignal): Promise<never> {
    this.running++;
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    this.running--;
    throw signal.reason as Error;
  }

  async *submit(plan: Plan, signal: AbortSignal): AsyncGenerator<StreamEvent> {
    this.plans.push(plan);
    this.running++;
    const lanes = plan.prompts[0]?.lanes.length ?? 1;
    let spent = 0;
    try {
      if (plan.stream && !plan.prompts.some(({ text }) => text.includes('!refuse')))
        yield { kind: 'accepted' };
      for (const event of this.#events(plan)) {
        if (event === 'hang')
          await new Promise<void>((resolve) => {
            signal.addEventListener('abort', () => resolve());
            if (signal.aborted) resolve();
          });
        else await turn();
        if (signal.aborted) return yield { kind: 'end', cancelled: true, spent };
        this.pulled++;
        if (event !== 'hang' && event.kind === 'commit') spent += event.tokens * lanes;
        if (event !== 'hang') yield event;
      }
      yield { kind: 'end', cancelled: false, spent };
    } catch (error) {
      yield { kind: 'failed', failure: toFailure(error), spent };
    } finally {
      this.running--;
    }
  }

  /** Choices take turns, a token each. */
  *#events(plan: Plan): Generator<StreamEvent | 'hang'> {
    const choices = plan.prompts.flatMap(({ text }, prompt) =>
      Array.from({ length: plan.n }, (_, tree) => answerOf(plan, text, prompt * plan.n + tree)),
    );
    if (plan.prompts.some(({ text }) => text.includes('!refuse')))
      throw new ServeError('queue_full', 'the queue is full');
    if (plan.readsPrompts) yield* promptsOf(plan);
    const open = new Set(choices);
    while (open.size > 0)
      for (const choice of open) {
        const { value, done } = choice.next();
        if (done) open.delete(choice);
        else yield value;
      }
  }
}

/** In two parts, as a long prompt is read. */
function* promptsOf(plan: Plan): Generator<StreamEvent> {
  for (const [prompt, { lanes }] of plan.prompts.entries()) {
    const draws = lanes[0]!.prompt
      .slice(1)
      .flatMap((token) => drawn({ ...plan, draws: true }, token));
    const half = draws.length >> 1;
    yield { kind: 'prompt', prompt, draws: draws.slice(0, half) };
    yield { kind: 'prompt', prompt, draws: draws.slice(half) };
  }
}

function* answerOf(plan: Plan, text: string, choice: number): Generator<StreamEvent | 'hang'> {
  const { maxTokens, stops } = plan.opening;
  const bytes = byteCodec.encode(text.length > 0 ? text : 'x');
  const ends = text.includes('!end');
  const tokens = Array.from({ length: maxTokens }, (_, i) => bytes[i % bytes.length] ?? 8);
  const kept = ends ? [...tokens.slice(0, bytes.length), 0] : tokens;
  const [cut, reason] = until(byteCodec.decode(kept), stops);
  const decoder = new TextDecoder();
  let sent = '';
  for (const [i, token] of kept.entries()) {
    if (text.includes('!fail') && i === 3) throw new Error('secret internals');
    if (text.includes('!wait') || (text.includes('!hang') && i === 3)) yield 'hang';
    const piece = decoder.decode(byteCodec.vocabulary.bytes(token), { stream: true });
    const rest = cut.slice(sent.length, sent.length + piece.length);
    sent += rest;
    if (plan.stream)
      yield { kind: 'commit', choice, text: rest, draws: drawn(plan, token), tokens: 1 };
    if (reason === 'stop' && sent.length === cut.length) break;
  }
  if (!plan.stream)
    yield {
      kind: 'commit',
      choice,
      text: cut,
      draws: kept.flatMap((token) => drawn(plan, token)),
      tokens: kept.length,
    };
  const ended = ends || reason === 'stop' ? 'stop' : 'length';
  yield { kind: 'finish', choice, reason: ended, report: report(plan, kept.length) };
}

function until(text: string, stops: readonly string[]): [text: string, reason: 'stop' | 'length'] {
  const at = stops.map((stop) => text.indexOf(stop)).filter((i) => i >= 0);
  return at.length > 0 ? [text.slice(0, Math.min(...at)), 'stop'] : [text, 'length'];
}

function drawn({ draws, opening }: Plan, token: number): Draw[] {
  if (!draws) return [];
  const { guidance, record } = opening;
  const top = Array.from({ length: record.top }, (_, i) => ({
    token: i === 0 ? token : i,
    logprob: i === 0 ? -0.5 : -Infinity,
  }));
  const guides = record.guides ? guidance.uses.map(({ weight }) => -weight) : [];
  return [{ token, logprob: -0.5, base: -1, kl: 0.25, entropy: 1, guides, top }];
}

const report = ({ prompts, opening }: Plan, tokens: number): ChoiceReport => ({
  completionTokens: tokens,
  generatedTokens: tokens,
  prunedTokens: 0,
  savedTokens: 0,
  guideTokens: tokens * ((prompts[0]?.lanes.length ?? 1) - 1),
  rewardTokens: 0,
  cachedTokens: 2,
  queueMs: 1,
  prefillMs: 2,
  kl: opening.guidance.uses.length * 0.5,
  exhausted: null,
  search: { nodes: 1, depth: tokens, alive: [1], figures: {} },
  candidates: [],
  evaluations: [],
  abstained: false,
});
