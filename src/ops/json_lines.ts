/** Files of JSON lines that commands read: of bounded size, each line checked, and named where it does not fit. */

import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';

const MAX_BYTES = 64 * 2 ** 20;

/**
 * What `read` makes of each line that is not empty.
 * @throws Error that names the file, and the line that is no JSON or that `read` refuses
 */
export function readJsonLines<T>(path: string, read: (line: unknown) => T): T[] {
  const lines = readBounded(path)
    .split('\n')
    .flatMap((line, i) =>
      line.trim() === '' ? [] : [lineOf(line, `${path}, line ${i + 1}`, read)],
    );
  if (lines.length === 0) throw new Error(`${path} has no lines`);
  return lines;
}

function lineOf<T>(line: string, at: string, read: (line: unknown) => T): T {
  try {
    return read(JSON.parse(line));
  } catch (error) {
    throw new Error(`${at}: ${(error as Error).message}`, { cause: error });
  }
}

function readBounded(path: string): string {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    if (size > MAX_BYTES)
      throw new Error(`${path} has ${size} bytes; at most ${MAX_BYTES} are read of such a file`);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}
