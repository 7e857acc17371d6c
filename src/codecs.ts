/** Reads tokenizers: models with the same tokenizer files share one. */

import type { Codec } from './core/text.ts';
import { ConfigError, reason } from './ops/config.ts';
import type { Manifest } from './ops/manifest.ts';
import { endIds } from './runtime/text/ends.ts';
import { loadCodec, loadPairCodec } from './runtime/text/tokenizer.ts';

/** Reads a model folder's tokenizer, as a model of that layout is fed. */
export type LoadCodec = (folder: string, layout: Manifest['layout']) => Codec;

export const readCodec: LoadCodec = (folder, layout) =>
  layout === 'encoder' || layout === 'pair_classifier' ? loadPairCodec(folder) : loadCodec(folder);

/** Files that nobody made a digest of are those of their folder. */
const digestOf = (folder: string, file: Manifest['files'][string] | undefined): string | null =>
  file === undefined ? null : (file.sha256 ?? folder);

const FILES = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];

/** @returns a reader that throws a ConfigError naming the folder at fault */
export function sharedCodecs(load: LoadCodec): (manifest: Manifest) => Codec {
  const known = new Map<string, Codec>();
  return ({ folder, files, layout }) => {
    try {
      const digests = FILES.map((file) => digestOf(folder, files[file]));
      const key = JSON.stringify([layout ?? null, endIds(folder), ...digests]);
      const codec = known.get(key) ?? load(folder, layout);
      known.set(key, codec);
      return codec;
    } catch (error) {
      throw new ConfigError(`${folder}: ${reason(error)}`);
    }
  };
}
