/**
 * Rotary frequencies: theta^(-2i/d), as they are and scaled for longer contexts. `rope_scaling` of a config, or
 * `rope_parameters` in newer ones; every key of it is understood or refused.
 */

import { Fields } from './fields.ts';
import type { Rope } from './spec.ts';

export interface RopeSettings {
  readonly name: string;
  /** Dims of a head that turn. */
  readonly dim: number;
  readonly theta: number;
  /** What the config holds; null: nothing is scaled. */
  readonly scaling: Fields | null;
  /** Longest sequence of the config. */
  readonly context: number;
  /** Longest sequence of the training that the scaling started from, where the config says it beside the scaling. */
  readonly original?: number | null;
  /** Longest sequence of the import; default: the config's. */
  readonly asked?: number;
}

type Scale = (plain: readonly number[], settings: RopeSettings & { scaling: Fields }) => Scaled;
type Scaled = Pick<Rope, 'frequencies' | 'magnitude'>;

/** Throws an Error that names the field if the scaling is of a kind, or has a key, that is not known. */
export function rope(settings: RopeSettings): Rope {
  const { name, dim, theta, scaling } = settings;
  if (dim % 16 !== 0)
    throw new Error(
      `config.json: ${dim} dims of a head have rotary positions; the importer supports multiples of 16`,
    );
  const plain = Array.from({ length: dim / 2 }, (_, i) => theta ** (-i / (dim / 2)));
  if (scaling === null) return { name, frequencies: plain, magnitude: 1 };
  const type = scaling.oneOf(scaling.has('rope_type') ? 'rope_type' : 'type', Object.keys(SCALES));
  scaling.ignore('type', 'rope_theta', 'partial_rotary_factor');
  const scaled = SCALES[type]!(plain, { ...settings, scaling });
  scaling.done();
  return { name, ...scaled };
}

const SCALES: Readonly<Record<string, Scale>> = {
  default: (frequencies) => ({ frequencies, magnitude: 1 }),
  linear: (plain, { scaling }) => {
    const factor = scaling.positive('factor');
    return { frequencies: plain.map((f) => f / factor), magnitude: 1 };
  },
  llama3,
  yarn,
  longrope,
  su: longrope, // its first name
};

/** Llama 3.1: long waves are stretched by `factor`, short ones are not, those between by a share of it. */
function llama3(plain: readonly number[], { scaling }: { scaling: Fields }): Scaled {
  const factor = scaling.positive('factor');
  const low = scaling.positive('low_freq_factor');
  const high = scaling.positive('high_freq_factor');
  const original = scaling.count('original_max_position_embeddings');
  const frequencies = plain.map((f) => {
    const turns = (original * f) / (2 * Math.PI);
    const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return f * (kept + (1 - kept) / factor);
  });
  return { frequencies, magnitude: 1 };
}

/** YaRN (Peng et al. 2023): a ramp over the dims from kept frequencies to stretched ones, and sharper attention. */
function yarn(
  plain: readonly number[],
  { scaling, dim, theta, context }: RopeSettings & { scaling: Fields },
): Scaled {
  const factor = scaling.positive('factor');
  const original = scaling.count('original_max_position_embeddings', context);
  const fast = scaling.positive('beta_fast', 32);
  const slow = scaling.positive('beta_slow', 1);
  const magnitude = scaling.positive('attention_factor', 0.1 * Math.log(factor) + 1);
  const dimOf = (turns: number) =>
    (dim * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const first = Math.max(Math.floor(dimOf(fast)), 0);
  const last = Math.min(Math.ceil(dimOf(slow)), dim - 1);
  const frequencies = plain.map((f, i) => {
    const stretched = Math.min(1, Math.max(0, (i - first) / Math.max(last - first, 0.001)));
    return f * (1 - stretched + stretched / factor);
  });
  return { frequencies, magnitude: factor > 1 ? magnitude : 1 };
}

/**
 * LongRoPE (Ding et al. 2024): each frequency has a divisor of its own, and other ones for texts longer than the
 * original context. A cache cannot change its divisors midway, so an import is for the shorter texts.
 */
function longrope(
  plain: readonly number[],
  { scaling, context, original, asked = context }: RopeSettings & { scaling: Fields },
): Scaled {
  const first = scaling.count('original_max_position_embeddings', original ?? context);
  if (asked > first)
    throw new Error(
      `config.json: longrope has other factors for texts of more than ${first} tokens; the importer supports --context up to ${first}`,
    );
  const isNumber = (item: unknown): item is number => typeof item === 'number' && item > 0;
  const divisors =
    scaling.list('short_factor', plain.length, isNumber) ??
    scaling.refuse('short_factor', `a list of ${plain.length}`);
  scaling.ignore('long_factor', 'factor');
  const growth = context / first;
  const magnitude = growth > 1 ? Math.sqrt(1 + Math.log(growth) / Math.log(first)) : 1;
  return {
    frequencies: plain.map((f, i) => f / divisors[i]!),
    magnitude: scaling.positive('attention_factor', magnitude),
  };
}
