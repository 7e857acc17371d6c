/**
 * npm run evaluate:quantization -- --float FOLDER [--fresh --seeds 3 --prompts 200 --only REGEXP]: what 8 bits change. FOLDER
 * holds float32 checkpoints of models of the default pack, each under its model's name (models/recipes exports them).
 * Each is imported twice: with 8 bits it must be the pack's graph, byte for byte, or, of a fresh run of the recipe, takes
 * its place with its own KV of int8; without, it is measured beside it:
 * perplexity of held-out texts, and what guides do to it, with the same seeds.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parse, stringify } from 'yaml';
import { calibrateCommand } from '../../src/calibrate_command.ts';
import type { Codec } from '../../src/core/text.ts';
import { importModel } from '../../src/importer/import.ts';
import type { Weights } from '../../src/importer/weights.ts';
import { readConfig, type Config } from '../../src/ops/config.ts';
import { continuation } from '../../src/rewards/reader.ts';
import { loadCodec } from '../../src/runtime/text/tokenizer.ts';
import { arithProblems } from '../support/arith.ts';
import { estimate, linesOf, markdown, mean, openings, plusMinus } from './asked.ts';
import { guided, MAX_TOKENS, settings, type Measured } from './guided.ts';

const { values: options } = parseArgs({
  options: {
    float: { type: 'string' },
    seeds: { type: 'string', default: '3' },
    prompts: { type: 'string', default: '200' },
    only: { type: 'string' },
    fresh: { type: 'boolean', default: false },
  },
});
if (options.float === undefined) throw new Error('--float FOLDER holds the float32 checkpoints');

type Pair = readonly [prompt: string, answer: string];

const stories = (): Pair[] =>
  linesOf<{ text: string }>('../data/tales_held_out.jsonl', 1000).map(({ text }) => ['', text]);
const problems = (): Pair[] =>
  arithProblems().map(({ prompt, steps, answer }) => [
    prompt,
    ['', ...steps, `Answer ${answer}`].join('\n'),
  ]);

/** Policies of the pack: what they are read, and whether the story guides speak their vocabulary. */
const POLICIES = {
  tales: { texts: stories, guided: true },
  'tales-dpo': { texts: stories, guided: true },
  arith: { texts: problems, guided: false },
} as const;
type Policy = keyof typeof POLICIES;

const CONFIG = new URL('../../config/', import.meta.url).pathname;
const floatOf = (name: string): string => `${name}-float32`;

/**
 * Imports a checkpoint without quantisation, and with; returns where the 8-bit model is.
 * @throws Error if that is not the pack's graph and not fresh
 */
function importFloat(name: string, pack: string, folder: string): string {
  const from = join(resolve(options.float!), name);
  const importAs = (to: string, weights: Weights): string => {
    importModel({ from, to: join(folder, to), role: 'policy', weights, created: 0 });
    return join(folder, to, 'model.onnx');
  };
  const again = importAs(`${name}-int8`, 'int8');
  importAs(floatOf(name), 'float32');
  if (options.fresh) {
    for (const _ of calibrateCommand([dirname(again)]));
    return dirname(again);
  }
  if (readFileSync(again).equals(readFileSync(join(pack, 'model.onnx')))) return pack;
  throw new Error(`${from} is not what ${pack} was made of: its 8-bit import is another graph`);
}

/** The default config, and the float32 models beside the pack's. */
function configWith(names: readonly string[], folder: string): Config {
  const config = parse(readFileSync(join(CONFIG, 'default.yaml'), 'utf8')) as {
    models: Record<string, { path: string }>;
  };
  const models: Record<string, object> = {};
  for (const [name, entry] of Object.entries(config.models))
    models[name] = { ...entry, path: resolve(CONFIG, entry.path) };
  for (const name of names) {
    const entry = config.models[name]!;
    models[name] = { ...entry, path: importFloat(name, resolve(CONFIG, entry.path), folder) };
    models[floatOf(name)] = { path: join(folder, floatOf(name)), role: 'policy' };
  }
  const file = join(folder, 'config.yaml');
  writeFileSync(file, stringify({ ...config, models }));
  return readConfig(file);
}

const folder = mkdtempSync(join(tmpdir(), 'coxswain-quantization-'));
try {
  const there = readdirSync(options.float);
  const names = (Object.keys(POLICIES) as Policy[]).filter((name) => there.includes(name));
  if (names.length === 0)
    throw new Error(`${options.float} has none of ${Object.keys(POLICIES).join(', ')}`);
  const config = configWith(names, folder);
  const { decoders, measure, engine } = guided(config);
  console.log(perplexities(names));
  for (const name of names) if (POLICIES[name].guided) await guidance(name);
  engine.audit();

  function perplexities(of: readonly Policy[]): string {
    const rows = of.map((name) => {
      const codec = loadCodec(config.models[name]!.path);
      const texts = POLICIES[name].texts();
      const [exact, quantised] = [floatOf(name), name].map((model) =>
        lossesOf(model, codec, texts),
      );
      const all = (losses: readonly Float32Array[]): number =>
        mean(losses.flatMap((each) => [...each]));
      const change = exact!.map((each, i) => mean([...quantised![i]!]) - mean([...each]));
      const ratio = Math.exp(all(quantised!) - all(exact!));
      return [
        name,
        `${texts.length}`,
        `${exact!.reduce((sum, each) => sum + each.length, 0)}`,
        Math.exp(all(exact!)).toFixed(4),
        Math.exp(all(quantised!)).toFixed(4),
        `${(100 * (ratio - 1)).toFixed(3)} %`,
        plusMinus(estimate(change), 5),
      ];
    });
    const head = ['model', 'texts', 'tokens', 'perplexity, float32', 'perplexity, int8', 'change'];
    return markdown({ head: [...head, 'nats a token, mean over texts'], rows, notes: [] });
  }

  /** -log p of each text's tokens, the end token included. */
  function lossesOf(model: string, codec: Codec, texts: readonly Pair[]): Float32Array[] {
    using asked = decoders.get(model)!.texts(codec.vocabulary.size);
    return texts.map(([prompt, answer]) => {
      const tokens = [...codec.encode(answer), ...codec.closing(true)];
      const [logProbs] = asked.logProbs([continuation(codec.prompt(prompt), tokens)]);
      return logProbs!.map((logProb) => -logProb);
    });
  }

  async function guidance(name: Policy): Promise<void> {
    const prompts = openings(Number(options.prompts));
    const seeds = Array.from({ length: Number(options.seeds) }, (_, seed) => seed);
    console.log(
      `\n${name}: ${prompts.length} held-out openings x ${seeds.length} seeds, temperature 1, at most ${MAX_TOKENS} tokens; ` +
        'float32 / int8, and the difference paired by opening\n',
    );
    const head = ['guides', 'gold happy', 'int8 less float32', 'gold kind', 'int8 less float32'];
    console.log(markdown({ head: [...head, 'base NLL per token', 'tokens'], rows: [], notes: [] }));
    for (const [row, guides] of settings('tales')) {
      if (options.only !== undefined && !new RegExp(options.only).test(row)) continue;
      const of = (model: string): Promise<Measured> => measure({ model, prompts, seeds, guides });
      const [exact, quantised] = [await of(floatOf(name)), await of(name)];
      const cells = [
        ...compared(exact.happy, quantised.happy),
        ...compared(exact.kind, quantised.kind),
        `${exact.nll.toFixed(3)} / ${quantised.nll.toFixed(3)}`,
        `${exact.tokens.toFixed(0)} / ${quantised.tokens.toFixed(0)}`,
      ];
      console.log(`| ${row} | ${cells.join(' | ')} |`);
    }
  }

  function compared(exact: readonly number[], quantised: readonly number[]): string[] {
    const change = quantised.map((value, i) => value - exact[i]!);
    return [
      `${plusMinus(estimate(exact))} / ${plusMinus(estimate(quantised))}`,
      plusMinus(estimate(change), 3),
    ];
  }
} finally {
  rmSync(folder, { recursive: true });
}
process.exit(0);
