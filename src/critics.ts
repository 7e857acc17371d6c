/** Judges that write: each decodes with an engine of its own, in KV rows that no request can hold. */

import { performance } from 'node:perf_hooks';
import type { Codec } from './core/text.ts';
import { DecodeEngine } from './engine/engine.ts';
import { laneWeights } from './guides/lane_weights.ts';
import { critiqueClass } from './memory.ts';
import type { Config } from './ops/config.ts';
import { Savings } from './rewards/savings.ts';
import type { Turns } from './rewards/turns.ts';
import { writer } from './rewards/writer.ts';
import type { Writer } from './rewards/writer.ts';
import type { Decoder } from './runtime/decoder.ts';
import type { Ort } from './runtime/ort/ort.ts';
import { tailsOf } from './runtime/tail.ts';

interface Critic {
  readonly name: string;
  readonly model: Decoder;
  readonly codec: Codec;
  readonly ort: Ort;
  readonly turns: Turns;
}

/** Null where the config gives the model no rows to write in. */
export function criticOf(
  config: Config,
  { name, model, codec, ort, turns }: Critic,
): Writer | null {
  const own = critiqueClass(config, name, model.context);
  if (own === null) return null;
  const { vocabulary } = codec;
  const savings = new Savings(turns);
  const engine = new DecodeEngine({
    models: new Map([[name, model]]),
    tails: tailsOf(ort, { vocab: vocabulary.size, banned: vocabulary.banned, rows: own.rows }),
    vocabulary,
    laneWeights,
    vectors: new Map(),
    ruleOf: () => {
      throw new Error('critiques have no rule');
    },
    classes: [own],
    iterationTokens: Math.max(own.rows, config.engine.reward_tokens),
    prefixBytes: 0,
    queue: Infinity, // a request waits with as many prompts as there are rows, and requests are bounded
    now: () => performance.now(),
    turn: savings.turn.bind(savings),
    onIteration: savings.took.bind(savings),
  });
  return writer({ engine, model: name, vocabulary, ...own });
}
