/** The tokens that end an answer, beside the tokenizer's: chat models have one for a turn and one for a text. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Token } from '../../core/tree.ts';
import { readJson } from '../json.ts';

/** The first of these that says anything is right: the last describes the model, the others how it is to be used. */
const FILES = ['genai_config.json', 'generation_config.json', 'config.json'];
const MOST = 64;

interface Ends {
  readonly eos_token_id?: unknown;
}

/** `eos_token_id` of a folder, a number or a list. @throws Error that names the file if it is anything else */
export function endIds(folder: string): readonly Token[] {
  for (const file of FILES) {
    const path = join(folder, file);
    if (!existsSync(path)) continue;
    const json = readJson<Ends & { readonly model?: Ends }>(path);
    const given = json.eos_token_id ?? json.model?.eos_token_id ?? null; // genai has it under model
    if (given === null) continue;
    const ids: readonly unknown[] = Array.isArray(given) ? given : [given];
    if (ids.length > MOST || !ids.every(isId))
      throw new Error(
        `${path}: eos_token_id is ${JSON.stringify(given)}; it must be a token id or a list of at most ${MOST}`,
      );
    return ids;
  }
  return [];
}

const isId = (id: unknown): id is Token => Number.isSafeInteger(id) && Number(id) >= 0;
