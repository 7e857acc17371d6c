/** The seam between the HTTP process and the inference process: a Plan in, StreamEvents out, and an abort. */

import type { StreamEvent } from './events.ts';
import type { Judged, Judging } from './reward.ts';

export interface Inference<Plan> {
  /**
   * Runs a plan. Not pulling is backpressure: the request's decoding pauses until the reader goes on.
   * Aborting ends the stream with `end` (cancelled) and frees the request's slots by the next iteration.
   * The last event is `end` or `failed`; the iterable itself does not throw.
   */
  submit(plan: Plan, signal: AbortSignal): AsyncIterable<StreamEvent>;
  /** Judges texts; rejects with a ServeError, or with the signal's reason once it aborts: what was not read by then is not. */
  judge(asked: Judging, signal: AbortSignal): Promise<Judged>;
  /** Ready to serve, and if not, why. */
  readonly state: 'starting' | 'ready' | 'restarting' | 'stopped';
  /** Figures of the engine, for the metrics page; the last known ones if the process does not answer at once. */
  snapshot(): Promise<EngineSnapshot>;
}

/** Gauges are instantaneous, counters since the process started; durations in seconds. */
export interface EngineSnapshot {
  readonly requestsRunning: number;
  readonly requestsWaiting: number;
  /** KV rows in use over rows there are, of the fullest pool; 0 to 1. */
  readonly kvUsage: number;
  readonly iterations: number;
  /** Rows decoded, summed over iterations. */
  readonly rows: number;
  readonly prefillTokens: number;
  readonly decodeSeconds: number;
  readonly prefillSeconds: number;
  readonly iterationSeconds: number;
  readonly prefixQueries: number;
  readonly prefixHits: number;
  /** Held by caches: prompts' KV, scores, what was found out about rules. */
  readonly prefixBytes: number;
  readonly scoreBytes: number;
  readonly ruleBytes: number;
  readonly residentBytes: number;
  /** Of that: JavaScript's objects, and what V8 holds for them, garbage and room included; the arrays that they own. */
  readonly heapBytes: number;
  readonly heapTotalBytes: number;
  readonly arrayBytes: number;
  /** Forward passes per model name. */
  readonly forwards: Readonly<Record<string, number>>;
}
