/** One request's stopwatch: turns its events into metrics, into its trace, and into the figures of its log line. */

import type { ErrorCode } from '../core/errors.ts';
import type { ChoiceReport } from '../core/events.ts';
import { sum } from '../core/math.ts';
import type { Evaluation, Score } from '../core/reward.ts';
import type { Metrics } from './metrics.ts';
import type { Trace } from './tracing.ts';

export type Outcome = 'ok' | 'cancelled' | ErrorCode;

/** What a meter is told about a request once it is valid. */
export interface Measured {
  /** Its policy. */
  readonly model: string;
  readonly strategy: string;
  readonly guides: number;
  /** Vectors that steer it. */
  readonly vectors: number;
  readonly promptTokens: number;
  readonly stream: boolean;
}

/** Figures of a request for its log line. */
export interface Tally {
  readonly ms: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly guideTokens: number;
}

export class Meter {
  readonly #metrics: Metrics;
  readonly #endpoint: string;
  readonly #trace: Trace;
  readonly #began = performance.now();
  /** When each choice last grew. */
  readonly #last = new Map<number, number>();
  #about: Measured = {
    model: 'none',
    strategy: 'none',
    guides: 0,
    vectors: 0,
    promptTokens: 0,
    stream: false,
  };
  #completionTokens = 0;
  #guideTokens = 0;
  #spent: number | null = null;
  /** Milliseconds until inference had its plan, and of writing since. */
  #planning = 0;
  #writing = 0;
  #visible = false;
  /** Models had work with it. */
  #modelled = false;
  #ended = false;

  constructor(metrics: Metrics, endpoint: string, trace: Trace) {
    this.#metrics = metrics;
    this.#endpoint = endpoint;
    this.#trace = trace;
  }

  admitted(about: Measured): void {
    this.#about = about;
    this.#modelled = true;
    this.#trace.admitted(about);
    this.#metrics.count('prompt_tokens_total', about.promptTokens);
    this.#metrics.observe('request_prompt_tokens', about.promptTokens);
    if (about.guides > 0)
      this.#metrics.count('guided_requests_total', 1, { guides: String(about.guides) });
    if (about.vectors > 0)
      this.#metrics.count('steered_requests_total', 1, { vectors: String(about.vectors) });
  }

  /** Inference has been asked: what comes until then is this process's own work. */
  handed(): void {
    this.#planning = performance.now() - this.#began;
  }

  /** Makes and sends what the client is told. */
  writing<T>(work: () => T): T {
    const began = performance.now();
    const result = work();
    this.#writing += performance.now() - began;
    return result;
  }

  /** Tokens of a choice became certain. */
  grew(choice: number, tokens: number): void {
    if (!this.#about.stream || tokens === 0) {
      this.#visible ||= tokens > 0;
      return;
    }
    if (!this.#visible) {
      this.#trace.visible();
      this.#metrics.observe(
        'first_visible_token_seconds',
        (performance.now() - this.#began) / 1000,
      );
    }
    const now = performance.now();
    const before = this.#last.get(choice);
    if (before !== undefined)
      this.#metrics.observe('inter_token_latency_seconds', (now - before) / 1000 / tokens);
    else if (!this.#visible)
      this.#metrics.observe('time_to_first_token_seconds', (now - this.#began) / 1000);
    this.#visible = true;
    this.#last.set(choice, now);
  }

  finished(report: ChoiceReport): void {
    const { completionTokens, guideTokens, queueMs, prefillMs } = report;
    this.#trace.finished(report);
    this.#completionTokens += completionTokens;
    this.#guideTokens += guideTokens;
    const metrics = this.#metrics;
    metrics.count('generation_tokens_total', completionTokens);
    metrics.count('generated_tokens_total', report.generatedTokens);
    metrics.count('guide_tokens_total', guideTokens);
    metrics.count('tokens_saved_total', report.savedTokens);
    metrics.count('reward_tokens_total', report.rewardTokens);
    metrics.count('pruned_tokens_total', report.prunedTokens);
    this.#chosen(report);
    for (const ess of report.search.figures['ess'] ?? [])
      metrics.observe('effective_sample_size', ess);
    this.#called(report.evaluations, report.candidates);
    if (report.exhausted !== null)
      metrics.count('budget_exhausted_total', 1, { budget: report.exhausted });
    for (const { status } of report.candidates)
      metrics.count('candidates_total', 1, { outcome: status });
    metrics.observe('request_queue_time_seconds', queueMs / 1000);
    metrics.observe('request_prefill_time_seconds', prefillMs / 1000);
    metrics.observe('request_generation_tokens', completionTokens);
    if (this.#about.guides > 0 && completionTokens > 0)
      metrics.observe('kl_nats_per_token', report.kl / completionTokens);
    if (!this.#about.stream) this.#whole(report);
  }

  /** Tokens that policy and guides drew and read for it, prompts included; null: it did not come to that. */
  get spent(): number | null {
    return this.#spent === null ? null : this.#spent + this.#about.promptTokens;
  }

  /** Nothing more will come. @param spent tokens drawn by the policy and read by guides */
  ended(spent: number): void {
    this.#spent = spent;
  }

  /** It was refused, or has failed. @param spent as in `ended`; 0: nothing had begun, so its prompts were not read */
  failed(spent: number): void {
    if (spent > 0) this.#spent = spent;
  }

  #chosen({ candidates }: ChoiceReport): void {
    const ended = candidates.filter(({ prunedAt }) => prunedAt === null);
    const scores = ended.flatMap(({ score }) => score ?? []);
    const chosen = candidates.find(({ status }) => status === 'selected');
    if (chosen === undefined || chosen.score === null) return;
    const mean = sum(scores) / scores.length;
    this.#metrics.observe('reward_gain', chosen.score - mean);
    const { disagreement } = chosen.parts;
    if (disagreement !== undefined) this.#metrics.observe('ensemble_disagreement', disagreement);
  }

  /** Texts that were written elsewhere have been judged. */
  judged(scores: readonly Score[], evaluations: readonly Evaluation[]): void {
    const tokens = sum(scores.map((score) => score.tokens ?? 0));
    this.#modelled = true;
    this.#trace.scored(evaluations);
    this.#metrics.count('reward_tokens_total', tokens);
    this.#called(evaluations, scores);
  }

  /** What rewards took, and what they said, each under its own name. */
  #called(evaluations: readonly Evaluation[], judged: readonly Pick<Score, 'parts'>[]): void {
    const names = new Map<string, string>();
    for (const { member, reward, seconds, outcome } of evaluations) {
      names.set(member, reward);
      this.#metrics.observe('reward_eval_seconds', seconds, { reward });
      if (outcome !== 'ok') this.#metrics.count('reward_failures_total', 1, { reward, outcome });
    }
    for (const { parts } of judged)
      for (const [member, reward] of names) {
        const value = parts[member];
        if (value !== undefined && Number.isFinite(value))
          this.#metrics.observe('reward_score', value, { reward });
      }
  }

  /** An answer that comes in one piece shows no gaps: its report does. */
  #whole({ completionTokens, queueMs, prefillMs }: ChoiceReport): void {
    const first = queueMs + prefillMs;
    this.#metrics.observe('time_to_first_token_seconds', first / 1000);
    const rest = Math.max(0, performance.now() - this.#began - first);
    if (completionTokens > 1)
      this.#metrics.observe('inter_token_latency_seconds', rest / 1000 / (completionTokens - 1));
  }

  /** The request is over; later calls do nothing. */
  end(code: Outcome): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#trace.end(code, this.tally);
    const { model, strategy } = this.#about;
    this.#metrics.count('requests_total', 1, { endpoint: this.#endpoint, model, strategy, code });
    if (code === 'cancelled')
      this.#metrics.count('requests_cancelled_total', 1, {
        phase: this.#visible ? 'decode' : 'waiting',
      });
    if (code === 'ok' && this.#modelled) this.#took();
  }

  #took(): void {
    this.#metrics.observe('e2e_request_latency_seconds', this.tally.ms / 1000);
    for (const [phase, ms] of [
      ['plan', this.#planning],
      ['write', this.#writing],
    ] as const)
      this.#metrics.observe('request_gateway_time_seconds', ms / 1000, { phase });
  }

  get tally(): Tally {
    return {
      ms: Math.round((performance.now() - this.#began) * 100) / 100,
      promptTokens: this.#about.promptTokens,
      completionTokens: this.#completionTokens,
      guideTokens: this.#guideTokens,
    };
  }
}
