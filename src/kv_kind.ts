/** What a language model's KV is kept as: int8 where its folder says what a step is worth, unless config or device want floats. */

import { placeOf } from './devices.ts';
import { describeModel } from './model_folder.ts';
import { ConfigError, type Config, type ModelEntry } from './ops/config.ts';
import type { Manifest } from './ops/manifest.ts';
import { SCALES_FILE } from './runtime/kv/scales.ts';

/** Whether a model's KV is int8; else it is what its graph has, float32 in our own. */
export const keepsInt8 = (entry: ModelEntry, manifest: Manifest): boolean =>
  entry.kv !== 'float32' && lackOf(entry, manifest) === null;

/** @throws ConfigError that names the model that was to keep int8 and cannot, why, and what would do */
export function refuseKv({ file, models }: Config): void {
  for (const [name, entry] of Object.entries(models)) {
    const lack = entry.kv === 'int8' ? lackOf(entry, describeModel(entry)) : null;
    if (lack !== null)
      throw new ConfigError(
        `${file}: models.${name}.kv is int8, but ${lack}; auto and float32 would do`,
      );
  }
}

function lackOf(entry: ModelEntry, { head, layout, folder, files }: Manifest): string | null {
  if (head !== undefined) return 'its model says numbers of texts: only language models keep int8';
  if (layout !== undefined) return "another tool's export keeps what its graph has";
  if (placeOf(entry) !== 'cpu') return `${placeOf(entry)} keeps float32 only`;
  if (SCALES_FILE in files) return null;
  return `${folder} has no ${SCALES_FILE}: "coxswain calibrate ${folder}" makes it`;
}
