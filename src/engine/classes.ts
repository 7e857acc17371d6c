/** Length classes: rows of the full length, of an eighth, and so on, each class with an equal share of the KV memory. */

const SHORTEST = 256;
const RATIO = 8;

export interface LengthClass {
  readonly length: number;
  readonly rows: number;
}

/**
 * @param maxLength longest sequence to serve, in tokens
 * @param slots most rows per class and model
 * @param bytes KV memory for all models together
 * @param positionBytes KV bytes per position, summed over models
 * @throws Error with the numbers if not one row of the full length fits
 */
export function lengthClasses(
  maxLength: number,
  slots: number,
  bytes: number,
  positionBytes: number,
): LengthClass[] {
  const lengths = [maxLength];
  while (lengths[0]! / RATIO >= SHORTEST) lengths.unshift(Math.ceil(lengths[0]! / RATIO));
  return lengths.map((length) => {
    const rowBytes = length * positionBytes;
    const rows = Math.min(slots, Math.floor(bytes / lengths.length / rowBytes));
    if (rows < 1)
      throw new Error(
        `engine.kv_bytes is ${bytes}; one KV row of ${length} tokens takes ${rowBytes} bytes over all models, ` +
          `and ${lengths.length} length classes share the memory: ${rowBytes * lengths.length} would do`,
      );
    return { length, rows };
  });
}
