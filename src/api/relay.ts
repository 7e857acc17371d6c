/** One answer, first event to last: pulls from the inference process only as fast as the reader reads. */

import type { Failure } from '../core/errors.ts';
import type { ChoiceReport, StreamEvent } from '../core/events.ts';
import type { Meter } from '../ops/meter.ts';
import type { Writer } from './surface.ts';

/** Where chunks go. */
export interface Sink {
  write(chunks: readonly string[]): void;
  /** A guess that may be taken back, or what became of a candidate; most sinks drop it. */
  aside(event: Extract<StreamEvent, { kind: 'draft' | 'candidate' }>): void;
  /** The reader is behind: wait for `drained` before pulling on. */
  readonly full: boolean;
  /** Also resolves once there is no reader any more. */
  drained(): Promise<void>;
}

/** To whom nothing is sent while it grows. */
export const DISCARDED: Sink = {
  write: () => undefined,
  aside: () => undefined,
  full: false,
  drained: () => Promise.resolve(),
};

/** What makes chunks of events. */
export type Listener = Pick<Writer, 'begin' | 'prompt' | 'commit' | 'finish' | 'closing'>;

export type Ending =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly failure: Failure };

export async function relay(
  events: AsyncIterable<StreamEvent>,
  writer: Listener,
  meter: Meter,
  sink: Sink,
): Promise<Ending> {
  const reports = new Map<number, ChoiceReport>();
  const telling = { writer, meter, sink, reports };
  for await (const event of events) {
    const ending = meter.writing(() => tell(event, telling));
    if (ending !== null) return ending;
    if (sink.full) await sink.drained();
  }
  return { kind: 'failed', failure: CUT_OFF };
}

interface Telling {
  readonly writer: Listener;
  readonly meter: Meter;
  readonly sink: Sink;
  readonly reports: Map<number, ChoiceReport>;
}

/** Null: more comes. */
function tell(event: StreamEvent, { writer, meter, sink, reports }: Telling): Ending | null {
  switch (event.kind) {
    case 'accepted':
      sink.write(writer.begin());
      return null;
    case 'commit':
      meter.grew(event.choice, event.tokens);
      sink.write(writer.commit(event));
      return null;
    case 'prompt':
      writer.prompt?.(event);
      return null;
    case 'draft':
    case 'candidate':
      sink.aside(event);
      return null;
    case 'finish':
      meter.finished(event.report);
      reports.set(event.choice, event.report);
      sink.write(writer.finish(event));
      return null;
    case 'failed':
      meter.failed(event.spent);
      return { kind: 'failed', failure: event.failure };
    case 'end':
      meter.ended(event.spent);
      if (event.cancelled) return { kind: 'cancelled' };
      sink.write(writer.closing(reports));
      return { kind: 'ok' };
    default:
      return event satisfies never;
  }
}

/** An iterable that ends without saying so is a bug on the other side. */
const CUT_OFF: Failure = {
  code: 'internal_error',
  message: 'the answer broke off',
  param: null,
};
