/**
 * A reward that another server computes. What leaves: {"items": [{"prompt", "messages", "text", "complete"}]}.
 * What comes back: {"scores": [number | null]}, one for each item in order; null where it cannot judge.
 */

import {
  ConsecutiveBreaker,
  ExponentialBackoff,
  bulkhead,
  circuitBreaker,
  handleWhen,
  noJitterGenerator,
  retry,
  wrap,
} from 'cockatiel';
import type { IBackoff, IBackoffFactory, IPolicy } from 'cockatiel';
import { z } from 'zod';
import type { Candidate, Reward, Score } from '../core/reward.ts';
import { SlowReward } from './timed.ts';

export interface HttpReward {
  readonly name: string;
  readonly reads: Reward['reads'];
  /** Sends a body to the address of the config; resolves with the answer's text, rejects once the signal aborts. */
  readonly post: (body: string, signal?: AbortSignal) => Promise<string>;
  /** Whether a failure may pass by itself. */
  readonly passing: (error: unknown) => boolean;
  readonly retries: number;
  /** Candidates of one call, and bytes of its body. */
  readonly batch: number;
  readonly requestBytes: number;
  /** Calls at a time, and calls that may wait. */
  readonly inFlight: number;
  readonly queue: number;
  /** Failures in a row after which it is not asked for `halfOpenMs`; then one call goes first. */
  readonly failures: number;
  readonly halfOpenMs: number;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
}

/** Nobody waits for the call any more, which says nothing of the server that was asked. */
class Unwanted extends Error {
  override readonly name = 'Unwanted';
}

/** A call that fails leaves its candidates without a score; if all fail, the reward does. */
export function httpReward(options: HttpReward): Reward {
  const { name, reads, post } = options;
  const policy = policyOf(options);
  // The signal is not the policy's: its bulkhead would let what waits behind an aborted call wait on.
  const ask = (items: readonly string[], signal?: AbortSignal): Promise<readonly Score[]> =>
    policy.execute(async () => {
      if (signal?.aborted) throw new Unwanted();
      try {
        return scoresIn(await post(`{"items":[${items.join(',')}]}`, signal), items.length);
      } catch (error) {
        throw isLeft(signal) ? new Unwanted() : error;
      }
    });
  return {
    name,
    reads,
    async score(batch, signal) {
      const scores = batch.map((): Score => ({ value: NaN, parts: {} }));
      const calls = callsOf(batch.map(itemOf), options);
      const settled = await Promise.allSettled(calls.map(({ items }) => ask(items, signal)));
      settled.forEach((result, c) => {
        if (result.status === 'fulfilled')
          result.value.forEach((score, i) => (scores[calls[c]!.from[i]!] = score));
      });
      const failure = settled.find(({ status }) => status === 'rejected');
      const none = settled.every(({ status }) => status === 'rejected');
      if (none && failure?.status === 'rejected') throw failure.reason;
      return scores;
    },
  };
}

/** How calls are tried again, how many there are at a time, and when there are none for a while. */
const policyOf = (options: HttpReward): IPolicy =>
  wrap(
    retry(handleWhen(options.passing), {
      maxAttempts: options.retries,
      backoff: new ExponentialBackoff({ initialDelay: 50, generator: noJitterGenerator }),
    }),
    bulkhead(options.inFlight, options.queue),
    circuitBreaker(
      handleWhen((error) => !(error instanceof Unwanted)),
      { breaker: new ConsecutiveBreaker(options.failures), halfOpenAfter: pauses(options) },
    ),
  );

/** Whoever waited has gone for a reason of its own: the server was not too slow. */
const isLeft = (signal?: AbortSignal): boolean =>
  signal?.aborted === true && !(signal.reason instanceof SlowReward);

/** The breaker reads the wall clock, which may jump: by it, a pause has no end until it is over, and then no length. */
function pauses({ halfOpenMs, now }: HttpReward): IBackoffFactory<unknown> {
  const next = (): IBackoff<unknown> => {
    const end = now() + halfOpenMs;
    return {
      next,
      get duration() {
        return now() < end ? Infinity : -Infinity;
      },
    };
  };
  return { next };
}

const itemOf = ({ prompt, messages, text, complete }: Candidate): string =>
  JSON.stringify({ prompt, ...(messages === null ? {} : { messages }), text, complete });

interface Call {
  readonly items: string[];
  /** Indices of the candidates. */
  readonly from: number[];
}

const FRAME_BYTES = '{"items":[]}'.length;

/** A candidate that is too large by itself is in no call: it is not judged. */
function callsOf(
  items: readonly string[],
  { batch, requestBytes }: Pick<HttpReward, 'batch' | 'requestBytes'>,
): Call[] {
  const calls: Call[] = [];
  let bytes = Infinity;
  items.forEach((item, i) => {
    const size = Buffer.byteLength(item) + 1;
    if (FRAME_BYTES + size > requestBytes) return;
    if (bytes + size > requestBytes || calls.at(-1)!.items.length === batch) {
      calls.push({ items: [], from: [] });
      bytes = FRAME_BYTES;
    }
    const { items: kept, from } = calls.at(-1)!;
    kept.push(item);
    from.push(i);
    bytes += size;
  });
  return calls;
}

const answer = z.strictObject({ scores: z.array(z.number().nullable()) });

/** @throws Error unless the answer is exactly what was asked for */
function scoresIn(text: string, count: number): Score[] {
  const { scores } = answer.parse(JSON.parse(text));
  if (scores.length !== count)
    throw new Error(`it answered with ${scores.length} scores for ${count} items`);
  return scores.map((value) => ({ value: value ?? NaN, parts: {} }));
}
