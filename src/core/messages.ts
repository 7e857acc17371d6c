/** What crosses the process boundary, as plain data. A request is known by its plan's id on both sides. */

import type { Failure } from './errors.ts';
import type { StreamEvent } from './events.ts';
import type { EngineSnapshot } from './inference.ts';
import type { Judged, Judging } from './reward.ts';

/** HTTP process to inference process. */
export type ToWorker<Plan> =
  | { readonly kind: 'start'; readonly plan: Plan }
  /** Answered by a plan's `end` (cancelled), also while it is paused; by nothing, where texts are judged. Unknown ids are ignored: it may have just ended. */
  | { readonly kind: 'abort'; readonly id: string }
  /** Its reader is behind: decode no more rows for it until `resume`. */
  | { readonly kind: 'pause'; readonly id: string }
  | { readonly kind: 'resume'; readonly id: string }
  /** Answered by one `judged`, unless it is aborted first. */
  | { readonly kind: 'judge'; readonly asked: Judging }
  | { readonly kind: 'snapshot'; readonly seq: number }
  /** Exit with code 0 once the iteration at hand is done. */
  | { readonly kind: 'stop' };

/** Events of one request, in order. */
type EventBatch = readonly [id: string, events: readonly StreamEvent[]];

/** Inference process to HTTP process. */
export type FromWorker =
  /** Models are loaded: plans may come. */
  | { readonly kind: 'ready'; readonly loadMs: number }
  /** One message per iteration, with the events of all requests. */
  | { readonly kind: 'events'; readonly batch: readonly EventBatch[] }
  | { readonly kind: 'judged'; readonly id: string; readonly judged: Judged | Failure }
  | { readonly kind: 'snapshot'; readonly seq: number; readonly snapshot: EngineSnapshot }
  /** It cannot serve (a damaged model file, say) and exits. */
  | { readonly kind: 'fatal'; readonly message: string };
