/** Where the graph of a folder that another tool exported is, and which files belong to it. */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const STEMS = ['model', 'decoder_model_merged'];
/** Endings that transformers.js gives to converted weights, the most exact first; none: float32. */
const WEIGHTS = ' _fp16 _quantized _int8 _uint8 _q4 _q4f16 _bnb4 _q2 _q2f16 _q1 _q1f16'.split(' ');
const PLACES = ['', 'onnx'];
const GRAPHS = WEIGHTS.flatMap((weights) =>
  STEMS.flatMap((stem) => PLACES.map((place) => join(place, `${stem}${weights}.onnx`))),
);
const TOKENIZER = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];

interface Found {
  /** The graph's file within the folder. */
  readonly graph: string;
  /** Those that it was taken before. */
  readonly others: readonly string[];
}

/**
 * @param named the file that somebody asks for; null: the most exact one of those with a usual name
 * @throws Error that names the folder and the names that were looked for
 */
export function findGraph(folder: string, named: string | null): Found {
  const asked = named === null ? GRAPHS : [named];
  const [graph, ...others] = asked.filter((name) => existsSync(join(folder, name)));
  if (graph !== undefined) return { graph, others };
  throw new Error(
    named === null
      ? `${folder} holds no manifest.json, and no graph that another tool exported: ` +
          `${STEMS.map((stem) => `${stem}.onnx`).join(' or ')}, or these with ${WEIGHTS.slice(1).join(', ')} before the dot, there or in onnx/; ` +
          'models.NAME.graph can name another'
      : `${folder} has no ${named}`,
  );
}

/** Sizes of the graph, its data and the tokenizer's files, by their paths in the folder. */
export function filesOf(folder: string, graph: string): Record<string, number> {
  const place = dirname(graph);
  const parts = readdirSync(join(folder, place)).filter((name) => name.startsWith(basename(graph)));
  const names = [
    ...parts.map((name) => join(place, name)),
    ...TOKENIZER.filter((name) => existsSync(join(folder, name))),
  ];
  return Object.fromEntries(names.map((name) => [name, statSync(join(folder, name)).size]));
}

/** Which graph it is, for whoever reads the start, where there are several. */
export const chosen = (graph: string, others: readonly string[]): string[] =>
  others.length === 0 ? [] : [`of its graphs it is ${graph}, not ${others.join(', ')}`];
