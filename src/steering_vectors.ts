/** The steering vectors of a config: each file read, and held to what its policy's graph adds. */

import { ConfigError, reason } from './ops/config.ts';
import type { Config, SteeringEntry } from './ops/config.ts';
import type { Manifest } from './ops/manifest.ts';
import { readVector } from './steering/file.ts';
import type { SteeringVector } from './steering/file.ts';

/** A norm of what is longer than this could be no number. */
const MAX_LENGTH = 1e12;

/**
 * Vectors by name.
 * @param manifestOf a model of the config, by its name
 * @throws ConfigError that names the vector, and what of it does not fit
 */
export function readVectors(
  config: Config,
  manifestOf: (model: string) => Manifest,
): ReadonlyMap<string, Float32Array> {
  return new Map(
    Object.entries(config.steering).map(([name, entry]) => {
      const at = `${config.file}: steering.${name}`;
      refuseModel(config, at, entry);
      const { steering } = manifestOf(entry.model);
      if (steering === undefined)
        throw new ConfigError(
          `${at}.model is ${entry.model}, which has no steering input; import its checkpoint with --steering LAYER`,
        );
      const { layer, values } = vectorOf(at, entry);
      if (layer !== steering.layer)
        throw new ConfigError(
          `${at}: ${entry.path} is of layer ${layer}; ${entry.model} is steered after layer ${steering.layer}`,
        );
      if (values.length !== steering.width)
        throw new ConfigError(
          `${at}: ${entry.path} has ${values.length} values; the states of ${entry.model} have ${steering.width}`,
        );
      const longest = Math.hypot(...values) * config.limits.vector_scale;
      if (longest > MAX_LENGTH)
        throw new ConfigError(
          `${at}: ${entry.path} may add states of length ${longest.toPrecision(3)}, its own times limits.vector_scale; the sum of their squares must be a float, so at most ${MAX_LENGTH}`,
        );
      return [name, values];
    }),
  );
}

function refuseModel({ models }: Config, at: string, { model }: SteeringEntry): void {
  const role = models[model]?.role;
  if (role === 'policy') return;
  const what =
    role === undefined
      ? `which is not among models: ${Object.keys(models).join(', ')}`
      : `whose role is ${role}; vectors steer policies`;
  throw new ConfigError(`${at}.model is ${model}, ${what}`);
}

function vectorOf(at: string, { path }: SteeringEntry): SteeringVector {
  try {
    return readVector(path);
  } catch (error) {
    throw new ConfigError(`${at}: ${reason(error)}`);
  }
}
