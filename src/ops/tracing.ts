/**
 * OpenTelemetry: a span for each request, with its phases; never what was said. Off unless the config asks for it: only
 * then is the API package loaded, which is not among the dependencies. Whoever runs the server registers the SDK.
 */

import type { IncomingHttpHeaders } from 'node:http';
import type * as Otel from '@opentelemetry/api';
import { STATUS } from '../core/errors.ts';
import type { ChoiceReport } from '../core/events.ts';
import type { Evaluation } from '../core/reward.ts';
import { ConfigError } from './config.ts';
import type { Measured, Outcome, Tally } from './meter.ts';

/** One request's span. */
export interface Trace {
  admitted(about: Measured): void;
  /** The client sees text. */
  visible(): void;
  /** A choice has come to its end. */
  finished(report: ChoiceReport): void;
  scored(evaluations: readonly Evaluation[]): void;
  end(outcome: Outcome, tally: Tally): void;
}

export interface Tracing {
  /** @param headers of the request, or of the upgrade of its socket */
  begin(endpoint: string, request: string, headers: IncomingHttpHeaders): Trace;
}

const nothing = (): void => undefined;
const NO_TRACE: Trace = {
  admitted: nothing,
  visible: nothing,
  finished: nothing,
  scored: nothing,
  end: nothing,
};
export const untraced: Tracing = { begin: () => NO_TRACE };

/** @throws ConfigError where the API package is not installed */
export async function loadTracing(load = () => import('@opentelemetry/api')): Promise<Tracing> {
  let otel: typeof Otel;
  try {
    otel = await load();
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : '';
    throw new ConfigError(
      `server.tracing needs the package @opentelemetry/api, which cannot be loaded (${why}); install it, or set server.tracing to false`,
    );
  }
  const tracer = otel.trace.getTracer('coxswain');
  return {
    begin(endpoint, request, headers) {
      const options = {
        kind: otel.SpanKind.SERVER,
        startTime: now(),
        attributes: { 'http.route': endpoint, 'coxswain.request': request },
      };
      const parent = parentOf(otel, headers);
      return new RequestTrace(otel, tracer, tracer.startSpan(endpoint, options, parent));
    },
  };
}

/** Milliseconds since the epoch, in fractions. */
const now = (): number => performance.timeOrigin + performance.now();

/** W3C's traceparent and tracestate, whatever propagator is registered. */
function parentOf(otel: typeof Otel, headers: IncomingHttpHeaders): Otel.Context {
  const root = otel.ROOT_CONTEXT;
  const { traceparent, tracestate } = headers;
  const [, traceId, spanId, flags] =
    /^(?!ff)[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(?:-|$)/.exec(String(traceparent)) ??
    [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return root;
  const context = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & otel.TraceFlags.SAMPLED,
    isRemote: true,
    ...(typeof tracestate === 'string' ? { traceState: otel.createTraceState(tracestate) } : {}),
  };
  return otel.isSpanContextValid(context) ? otel.trace.setSpanContext(root, context) : root;
}

class RequestTrace implements Trace {
  readonly #otel: typeof Otel;
  readonly #tracer: Otel.Tracer;
  readonly #span: Otel.Span;
  #admittedAt = 0;
  #finishedAt = 0;
  /** Of the choice that waited longest. */
  #queueMs = 0;
  #prefillMs = 0;
  readonly #scoring = new Map<string, { calls: number; seconds: number; failed: number }>();

  constructor(otel: typeof Otel, tracer: Otel.Tracer, span: Otel.Span) {
    [this.#otel, this.#tracer, this.#span] = [otel, tracer, span];
  }

  admitted({ model, strategy, guides, vectors, promptTokens, stream }: Measured): void {
    this.#admittedAt = now();
    this.#span.setAttributes({
      'gen_ai.request.model': model,
      'gen_ai.usage.input_tokens': promptTokens,
      'coxswain.strategy': strategy,
      'coxswain.guides': guides,
      'coxswain.vectors': vectors,
      'coxswain.stream': stream,
    });
  }

  visible(): void {
    this.#span.addEvent('first text', now());
  }

  finished({ queueMs, prefillMs, evaluations }: ChoiceReport): void {
    this.#finishedAt = now();
    this.#queueMs = Math.max(this.#queueMs, queueMs);
    this.#prefillMs = Math.max(this.#prefillMs, prefillMs);
    this.scored(evaluations);
  }

  scored(evaluations: readonly Evaluation[]): void {
    for (const { reward, seconds, outcome } of evaluations) {
      const sum = this.#scoring.get(reward) ?? { calls: 0, seconds: 0, failed: 0 };
      sum.calls++;
      sum.seconds += seconds;
      sum.failed += Number(outcome !== 'ok');
      this.#scoring.set(reward, sum);
    }
  }

  end(outcome: Outcome, { completionTokens, guideTokens }: Tally): void {
    if (this.#finishedAt > 0) this.#phases();
    for (const [reward, sums] of this.#scoring) this.#span.addEvent('scoring', { reward, ...sums });
    this.#span.setAttributes({
      'gen_ai.usage.output_tokens': completionTokens,
      'coxswain.guide_tokens': guideTokens,
      'coxswain.outcome': outcome,
    });
    if (outcome !== 'ok' && outcome !== 'cancelled') {
      this.#span.setAttribute('error.type', outcome);
      if (STATUS[outcome] >= 500)
        this.#span.setStatus({ code: this.#otel.SpanStatusCode.ERROR, message: outcome });
    }
    this.#span.end(now());
  }

  /** Children, told when all is known of them. */
  #phases(): void {
    const { trace, ROOT_CONTEXT } = this.#otel;
    const parent = trace.setSpan(ROOT_CONTEXT, this.#span);
    const began = this.#admittedAt;
    const read = began + this.#queueMs;
    const drawn = Math.min(this.#finishedAt, read + this.#prefillMs);
    const phases = [
      ['queue', began, read],
      ['prefill', read, drawn],
      ['decode', drawn, this.#finishedAt],
    ] as const;
    for (const [name, startTime, end] of phases)
      this.#tracer.startSpan(name, { startTime }, parent).end(end);
  }
}
