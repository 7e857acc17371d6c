/** A checkpoint and its adapters, opened: the model that they are together, and its weights. */

import { openWeights, readJsonIn, withPrefix } from './checkpoint.ts';
import { describe, type ExtraHead } from './families/index.ts';
import { openAdapter, type Adapter } from './lora.ts';
import type { Role } from './pack.ts';
import type { TensorSource } from './safetensors.ts';
import type { Spec } from './spec.ts';

export interface Asked {
  /** The checkpoint's folder. */
  readonly from: string;
  readonly role: Role;
  /** Folders of LoRA adapters, merged in this order. */
  readonly adapters?: readonly string[];
  /** Longest sequence. Default: the checkpoint's. */
  readonly context?: number;
}

interface Sources extends Disposable {
  readonly spec: Spec;
  readonly weights: TensorSource;
  /** Size of the files that hold them. */
  readonly bytes: number;
}

/** Throws an Error that names the file, field or tensor at fault; then nothing is left open. */
export function openSources(asked: Asked): Sources {
  const opened: Disposable[] = [];
  const keep = <T extends Disposable>(resource: T): T => (opened.push(resource), resource);
  const close = (): void => opened.forEach((resource) => resource[Symbol.dispose]());
  try {
    const stored = keep(openWeights(asked.from));
    const adapters = (asked.adapters ?? []).map((folder) => keep(openAdapter(folder)));
    const spec = specOf(asked, extraHead(asked.role, stored, adapters));
    const turned = spec.layers.some((layer) => layer.qkv.turned === true);
    const weights = adapters.reduce<TensorSource>(
      (base, adapter) => adapter.into(base, turned),
      withPrefix(stored, spec.prefix),
    );
    const bytes = [stored, ...adapters].reduce((sum, file) => sum + file.bytes, 0);
    return { spec, weights, bytes, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The head that the weights have and the config does not tell of, where the role asks for one. */
function extraHead(
  role: Role,
  stored: TensorSource,
  adapters: readonly Adapter[],
): ExtraHead | null {
  if (adapters.some(({ classifies }) => classifies)) return 'score';
  const asked = role === 'reward' || role === 'value';
  return asked && stored.names.includes('v_head.summary.weight') ? 'v_head.summary' : null;
}

function specOf({ from, role, context }: Asked, extra: ExtraHead | null): Spec {
  const spec = describe(readJsonIn(from, 'config.json'), context ?? null, extra);
  const isScalar = spec.head.kind === 'scalar';
  if (isScalar && role !== 'reward' && role !== 'value')
    throw new Error(`${from} has a scalar head: its role can be reward or value, given ${role}`);
  if (!isScalar && role === 'value')
    throw new Error(`${from} has no scalar head: its role cannot be value`);
  return spec;
}
