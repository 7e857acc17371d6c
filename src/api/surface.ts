/** What an endpoint that generates says in its own words; streaming, collecting, cancelling and counting are shared. */

import type { Draw } from '../core/tree.ts';
import type { Planner } from '../plan/parse.ts';
import type { Admitted, Ambient, Answer } from '../plan/request.ts';

export interface Surface {
  /** Its path, and its name in metrics. */
  readonly endpoint: string;
  readonly idPrefix: string;
  /** Values of `object`. */
  readonly wholeObject: string;
  readonly chunkObject: string;
  /** WebSocket frames: what asks for an answer, and what carries a chunk of one. */
  readonly createFrame: string;
  readonly chunkFrame: string;
  admit(planner: Planner, body: unknown, ambient: Ambient): Admitted;
  /** Members of a choice in its first chunk, as JSON without braces; null: nothing comes before the text. */
  opening(answer: Answer, choice: number): string | null;
  /** Members of a choice in a chunk that carries text. */
  delta(text: string): string;
  /** Members of a choice in its last chunk. */
  readonly closing: string;
  /** Members of a choice in a whole response. */
  message(text: string, answer: Answer, choice: number): object;
  /** `logprobs` of one choice, draws by draws. */
  speller(answer: Answer, choice: number): (draws: readonly Draw[]) => unknown;
}
