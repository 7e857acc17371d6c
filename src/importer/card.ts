/** The README.md of a model folder: a model card for people. */

import type { Manifest } from './pack.ts';

interface CardFacts {
  readonly name: string;
  /** What it is built like, in a sentence. */
  readonly architecture: string;
  /** Longest text, in tokens. */
  readonly context: number;
  readonly role: Manifest['role'];
  readonly reads: Manifest['reads'];
  readonly weights: Manifest['weights'];
  readonly facts: Manifest['facts'];
  /** How many LoRA adapters were merged. */
  readonly adapters: number;
  /** SPDX identifier; null: the checkpoint's own licence holds. */
  readonly license: string | null;
  /** Where the training is described, relative to the model folder; null: not by us. */
  readonly recipe: string | null;
}

const PURPOSE = {
  policy: 'A frozen policy: the language model that is served, and steered per request.',
  guide:
    'A guide: a language model whose next-token log-probabilities are added to those of a policy with the same vocabulary (an autoregressive reward model).',
  reward:
    'A reward model: it reads a prompt and an answer and returns one number, higher is better.',
  value:
    'A value model: after every token it says in one number how well the answer is expected to end.',
} as const;

/** Markdown with the front matter that model hubs read. */
export function modelCard(card: CardFacts): string {
  const { architecture, facts, recipe, license, adapters } = card;
  return (
    [
      `---\nlicense: ${license === null ? 'other' : license.toLowerCase()}\nlibrary_name: coxswain\n---`,
      `# ${card.name}`,
      PURPOSE[card.role],
      `## What it is\n\n${architecture} ${PRECISION[card.weights]}`,
      `## How it was made\n\n${
        recipe === null
          ? `Converted from a checkpoint${adapters === 0 ? '' : ', with LoRA adapters merged,'} with \`coxswain import\`. For its training, see where the checkpoint came from.`
          : `Trained with the scripts in [${recipe}](${recipe}) and converted with \`coxswain import\`.`
      }`,
      `## Metrics\n\n${metricsTable(facts)}`,
      `## Limits\n\n${limits(card)}`,
      `## Licence\n\n${license ?? "The checkpoint's own licence holds."}`,
    ].join('\n\n') + '\n'
  );
}

const PRECISION: Readonly<Record<Manifest['weights'], string>> = {
  float32: 'Weights are stored as float32.',
  float16: 'Weights are stored as float16 and computed with as float32.',
  'int8-block32':
    'Weights are stored with 8 bits in blocks of 32 (symmetric, one float32 scale a block); norms and a score head are float32.',
  'int4-block32':
    'Weights are stored with 4 bits in blocks of 32 (one float32 scale a block), embeddings with 8; norms, biases and a score head are float32.',
};

function limits({ context, role, reads }: CardFacts): string {
  const shared = [
    `Texts longer than ${context} tokens cannot be read.`,
    'It knows what its training data knew, biases included; its output is not checked for truth or harm.',
  ];
  const reward =
    reads === 'prefix'
      ? 'Its scores order texts like those it was trained on, unfinished ones included; a search that optimises them hard finds texts that score well and are not good.'
      : 'Its scores order finished answers like those it was trained on; a search that optimises them hard finds texts that score well and are not good.';
  return [...shared, ...(role === 'reward' ? [reward] : [])].map((line) => `- ${line}`).join('\n');
}

/** Numbers, texts and yes-or-no facts, by path; lists (training curves, quantiles) stay in the manifest. */
export function metricsTable(facts: Manifest['facts']): string {
  const rows = leaves(facts, '').map(([name, value]) => `| ${name} | ${value} |`);
  if (rows.length === 0) return 'None were given.';
  return [
    '| fact | value |',
    '|---|---|',
    ...rows,
    '',
    'All of them: `facts` in manifest.json.',
  ].join('\n');
}

function leaves(value: unknown, path: string): [string, string][] {
  if (Array.isArray(value) || value === null) return [];
  if (typeof value !== 'object')
    return [
      [path, (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('|', '\\|')],
    ];
  return Object.entries(value).flatMap(([name, part]) =>
    leaves(part, path ? `${path}.${name}` : name),
  );
}
