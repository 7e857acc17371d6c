/** Reads tokenizers: models with the same tokenizer files share one. */

import type { Codec } from './core/text.ts';
import { ConfigError, reason } from './ops/config.ts';
import type { Manifest } from './ops/manifest.ts';

/** Reads a model folder's tokenizer. */
export type LoadCodec = (folder: string) => Codec;

const FILES = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];

/** @returns a reader that throws a ConfigError naming the folder at fault */
export function sharedCodecs(loadCodec: LoadCodec): (manifest: Manifest) => Codec {
  const known = new Map<string, Codec>();
  return ({ folder, files }) => {
    const key = JSON.stringify(FILES.map((file) => files[file]?.sha256 ?? null));
    const codec = known.get(key) ?? loaded(folder, loadCodec);
    known.set(key, codec);
    return codec;
  };
}

function loaded(folder: string, loadCodec: LoadCodec): Codec {
  try {
    return loadCodec(folder);
  } catch (error) {
    throw new ConfigError(`${folder}: ${reason(error)}`);
  }
}
