/** Reads a JSON file of a model folder. */

import { readFileSync } from 'node:fs';

/** @throws Error that names the file if it is missing or no JSON */
export function readJson<T>(path: string): T {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}
