/** What the bench decodes with: the default pack, and random-weight decoders written from a seed (tokens per second do not depend on what weights say). */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { calibrateCommand } from '../../src/calibrate_command.ts';
import { importModel } from '../../src/importer/import.ts';
import { BENCH, writeRandomLlama, type RandomLlama } from '../support/random_llama.ts';

/** `npm run` starts scripts in the project's root. */
const folder = join(process.cwd(), '.bench');

/** The shape of the pack's policy. */
const PACK: RandomLlama = {
  seed: 1,
  vocab: 2048,
  hidden: 256,
  layers: 4,
  heads: 4,
  kvHeads: 2,
  ffn: 704,
  context: 384,
};

/** A third of it: the shape of the weak guide. */
const PACK_SMALL: RandomLlama = { ...PACK, hidden: 160, layers: 3, heads: 5, kvHeads: 1, ffn: 416 };

export interface Stage {
  readonly name: string;
  readonly config: string;
  /** The policy's weights in the layout of transformers.js. */
  readonly peer: string;
}

/** Of all models of a stage, as configs name it. */
interface Served {
  readonly device?: string;
  readonly kv?: string;
}

/** Random models of the pack's shape: policy, two guides of its size, one of a third. */
export const packStage = (as: Served = {}): Stage => stage('pack-shape', as, PACK, PACK_SMALL);
/** ENGINE.md's decoder, d 384 x 8. */
export const largeStage = (as: Served = {}): Stage =>
  stage('d384x8', as, { ...BENCH, context: 512 }, { ...BENCH, context: 512, layers: 3 });

function stage(name: string, as: Served, shape: RandomLlama, small: RandomLlama): Stage {
  const at = (model: string): string => join(folder, name, model);
  const roles = {
    policy: 'policy',
    'guide-a': 'guide',
    'guide-b': 'guide',
    'guide-small': 'guide',
  } as const;
  const config = join(folder, `${name}.yaml`);
  // Written anew each time: what the importer wrote yesterday may be no model of today's server.
  for (const old of [join(folder, name), join(folder, 'checkpoints', name)])
    rmSync(old, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  Object.entries(roles).forEach(([model, role], seed) => {
    const from = join(folder, 'checkpoints', name, model);
    writeRandomLlama(from, { ...(model === 'guide-small' ? small : shape), seed });
    importModel({ from, to: at(model), role, created: 0 });
    // Its KV is int8, as the pack's; the laws of random weights may move as far as they like.
    for (const _ of calibrateCommand([at(model), '--most', '100']));
    if (model === 'policy')
      importModel({ from, to: at('peer'), role, created: 0, layout: 'genai' });
  });
  writeFileSync(config, yaml(name, as, Object.entries(roles), shape.context));
  return { name, config, peer: at('peer') };
}

const yaml = (
  name: string,
  { device = 'auto', kv = 'auto' }: Served,
  roles: readonly [string, string][],
  context: number,
): string =>
  [
    'policy: policy',
    'server: { log: warn }',
    `engine: { max_seq: ${context} }`,
    'models:',
    ...roles.map(
      ([model, role]) =>
        `  ${model}: { path: ${name}/${model}, role: ${role}, device: ${device}, kv: ${kv} }`,
    ),
    '',
  ].join('\n');
