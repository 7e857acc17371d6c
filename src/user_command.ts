/** The `user` command: pairs of answers that a user chose between, to the latent that requests give for them. */

import { parseArgs } from 'node:util';
import { check, list, oneOf, strict, text } from './core/fields.ts';
import type { Codec } from './core/text.ts';
import type { Token } from './core/tree.ts';
import { readLatentEncoder, statesWidth } from './latent_heads.ts';
import { readJsonLines } from './ops/json_lines.ts';
import { readManifest, verifyFiles } from './ops/manifest.ts';
import { userOf, type StatePair } from './rewards/latent_encoder.ts';
import { cpu } from './runtime/devices/device.ts';
import { Ort } from './runtime/ort/ort.ts';
import { loadStates } from './runtime/scorer.ts';
import { loadCodec } from './runtime/text/tokenizer.ts';

const USAGE = `usage: user <model folder> --head FILE --pairs FILE [--normalize]
  --head FILE    of the folder, with the tensors of VPL's encoder
  --pairs FILE   JSON lines: {"prompt": TEXT, "chosen": TEXT, "rejected": TEXT}, or with "messages": [...]
  --normalize    scale the latent to the length sqrt(d), for heads that were trained so`;

const OPTIONS = {
  head: { type: 'string' },
  pairs: { type: 'string' },
  normalize: { type: 'boolean', default: false },
} as const;

const FAR = 1e6;
const line = strict({
  prompt: text(FAR).optional(),
  messages: list(
    strict({ role: oneOf(['system', 'user', 'assistant']), content: text(FAR) }),
    256,
    1,
  ).optional(),
  chosen: text(FAR),
  rejected: text(FAR),
});
/** What a user needs to be known is a handful; each pair attends to all others. */
const MOST_PAIRS = 1000;

/**
 * Runs the command; yields a line for the terminal now and then, and returns what to print: JSON with `user`, `variance`
 * and its mean. Throws an Error with a message for the user.
 */
export function* userCommand(args: readonly string[]): Generator<string, string> {
  const asked = parse(args);
  const manifest = readManifest(asked.model);
  verifyFiles(manifest);
  const { folder } = manifest;
  const hidden = statesWidth(folder);
  const encoder = readLatentEncoder(folder, asked.head, hidden);
  const codec = loadCodec(folder);
  const pairs = readJsonLines(asked.pairs, (raw) => textsOf(raw, codec));
  if (pairs.length > MOST_PAIRS)
    throw new Error(`${asked.pairs} has ${pairs.length} pairs; at most ${MOST_PAIRS} are read`);
  using ort = new Ort({ threads: 0 });
  using model = loadStates(cpu(ort), folder, 'user', hidden);
  const states: StatePair[] = [];
  for (const [i, pair] of pairs.entries()) {
    const longest = Math.max(...pair.map(({ length }) => length));
    if (longest > model.context)
      throw new Error(
        `pair ${i + 1} has ${longest} tokens; the model reads ${model.context} at most`,
      );
    const [chosen, rejected] = model.states(pair);
    states.push([chosen!, rejected!]);
    yield `${i + 1} of ${pairs.length} pairs`;
  }
  const { mean, variance } = userOf(encoder, states);
  const unsure = variance.reduce((sum, each) => sum + each, 0) / variance.length;
  const user = asked.normalize ? normalized(mean) : mean;
  return JSON.stringify({ user, variance, mean_variance: unsure, pairs: pairs.length });
}

function parse(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
  });
  const [model, ...more] = positionals;
  const { head, pairs, normalize } = values;
  if (model === undefined || more.length > 0 || head === undefined || pairs === undefined)
    throw new Error(USAGE);
  return { model, head, pairs, normalize };
}

/** A pair as rewards read it: the prompt, an answer, and what closes it. */
function textsOf(raw: unknown, codec: Codec): readonly (readonly Token[])[] {
  const { prompt, messages, chosen, rejected } = check(line, raw, '');
  if ((prompt === undefined) === (messages === undefined))
    throw new Error('a pair has either prompt or messages');
  const before = messages === undefined ? codec.prompt(prompt!) : codec.chat(messages);
  const texts = [chosen, rejected].map((answer) => [
    ...before,
    ...codec.encode(answer),
    ...codec.closing(true),
  ]);
  if (texts.some(({ length }) => length === 0)) throw new Error('a text has no tokens');
  return texts;
}

/** The same direction, of length sqrt(d). */
function normalized(x: readonly number[]): number[] {
  const length = Math.hypot(...x);
  return length === 0 ? [...x] : x.map((value) => (value / length) * Math.sqrt(x.length));
}
