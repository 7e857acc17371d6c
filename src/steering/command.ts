/** The `steer` command: texts read by a policy, to the file of a steering vector. */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { check, list, number, oneOf, strict, text } from '../core/fields.ts';
import type { Codec } from '../core/text.ts';
import type { Token } from '../core/tree.ts';
import { readJsonLines } from '../ops/json_lines.ts';
import { readManifest, verifyFiles } from '../ops/manifest.ts';
import { loadCodec } from '../runtime/text/tokenizer.ts';
import { vectorBytes } from './file.ts';
import { Activations } from './mean.ts';
import { openReader, type StateReader } from './reader.ts';

const USAGE = `usage: steer <model folder> --texts FILE --out FILE.safetensors
  --texts FILE             JSON lines: {"prompt": TEXT, "answer": TEXT}, or {"messages": [...], "answer": TEXT}
  --minus FILE             texts of the same kind, whose mean is subtracted
  --form mean|difference   mean: by entropy; difference: that less the plain mean
  --force                  replace a file that is there`;

const OPTIONS = {
  texts: { type: 'string' },
  minus: { type: 'string' },
  out: { type: 'string' },
  form: { type: 'string', default: 'mean' },
  force: { type: 'boolean', default: false },
} as const;

const FORMS = ['mean', 'difference'] as const;
const FAR = 1e6;

const line = strict({
  prompt: text(FAR).optional(),
  messages: list(
    strict({ role: oneOf(['system', 'user', 'assistant']), content: text(FAR) }),
    256,
    1,
  ).optional(),
  answer: text(FAR, 1),
  /** Of the decision that the answer is, where it was measured; left out: of each token's law. */
  entropy: number(0, FAR).optional(),
});

interface Sample {
  /** Prompt and answer. */
  readonly tokens: readonly Token[];
  /** Its answer's tokens are decided behind the positions from here to the last but one. */
  readonly from: number;
  readonly entropy: number | null;
}

/**
 * Runs the command; yields a line for the terminal now and then, and returns what to print. Throws an Error with a
 * message for the user; then nothing is written.
 */
export function* steerCommand(args: readonly string[]): Generator<string, string> {
  const asked = parse(args);
  const manifest = manifestOf(asked.model);
  verifyFiles(manifest);
  const { layer, width } = manifest.steering;
  const codec = loadCodec(manifest.folder);
  const samples = [asked.texts, ...(asked.minus === null ? [] : [asked.minus])].map((path) =>
    readJsonLines(path, (raw) => sampleOf(raw, codec)),
  );
  using reader = openReader(manifest.folder, width, codec.vocabulary.size);
  const [plus, minus] = [new Activations(width), new Activations(width)];
  yield* gather(reader, samples[0]!, plus);
  if (samples[1] !== undefined) yield* gather(reader, samples[1], minus);
  const taken = samples[1] === undefined ? null : minus[asked.form];
  const values = Float32Array.from(plus[asked.form], (value, i) => value - (taken?.[i] ?? 0));
  const facts = { form: asked.form, decisions: String(plus.count), entropy: String(plus.entropy) };
  const flag = asked.force ? 'w' : 'wx';
  writeFileSync(asked.out, vectorBytes({ layer, values }, facts), { flag });
  return `${asked.out}: layer ${layer}, width ${width}, ${plus.count} decision tokens of ${samples[0]!.length} texts, ${plus.entropy.toFixed(3)} nats each, length ${Math.hypot(...values).toFixed(3)}`;
}

function* gather(
  reader: StateReader,
  samples: readonly Sample[],
  into: Activations,
): Generator<string, void> {
  for (const [i, { tokens, from, entropy }] of samples.entries()) {
    if (tokens.length > reader.context)
      throw new Error(
        `text ${i + 1} has ${tokens.length} tokens; the model reads ${reader.context} at most`,
      );
    reader.read(tokens, from, tokens.length - 1, (states, own) => into.add(states, entropy ?? own));
    yield `${i + 1} of ${samples.length} texts`;
  }
}

function manifestOf(model: string) {
  const manifest = readManifest(model);
  const { role, steering } = manifest;
  if (role !== 'policy') throw new Error(`${model} is a ${role} model; vectors steer policies`);
  if (steering === undefined)
    throw new Error(`${model} has no steering input; import its checkpoint with --steering LAYER`);
  return { ...manifest, steering };
}

function parse(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
  });
  const [model, ...more] = positionals;
  const { texts, out, minus = null, force } = values;
  if (model === undefined || more.length > 0 || texts === undefined || out === undefined)
    throw new Error(USAGE);
  const form = FORMS.find((known) => known === values.form);
  if (form === undefined)
    throw new Error(`--form is ${values.form}; it can be ${FORMS.join(', ')}\n${USAGE}`);
  return { model, texts, minus, out, force, form };
}

function sampleOf(raw: unknown, codec: Codec): Sample {
  const { prompt, messages, answer, entropy = null } = check(line, raw, '');
  if ((prompt === undefined) === (messages === undefined))
    throw new Error('a text has either prompt or messages');
  const before = messages === undefined ? codec.prompt(prompt!) : codec.chat(messages);
  const spoken = codec.encode(answer);
  if (before.length === 0) throw new Error('prompt has no tokens: nothing is decided behind it');
  return { tokens: [...before, ...spoken], from: before.length - 1, entropy };
}
