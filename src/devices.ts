/** Where models run. A device that this server cannot use is refused when it starts, with what stands in the way. */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from './ops/config.ts';
import type { Config } from './ops/config.ts';
import { libraryPath } from './runtime/ort_path.ts';
import { providersOf } from './runtime/ort_providers.ts';

interface Needs {
  readonly provider: string;
  /** A second library, beside ONNX Runtime's own; null: the provider is inside. */
  readonly file: string | null;
}

const NEEDS: Readonly<Record<string, Needs>> = {
  cuda: { provider: 'CUDAExecutionProvider', file: 'libonnxruntime_providers_cuda.so' },
  webgpu: { provider: 'WebGpuExecutionProvider', file: null },
};

/** @throws ConfigError that names the model, its device, and what the library lacks, or that this version lacks it */
export function refuseDevices({ file, models }: Config): void {
  for (const [name, { device }] of Object.entries(models)) {
    const needs = NEEDS[device];
    if (needs === undefined) continue;
    const library = process.env['COXSWAIN_ORT_LIB'] ?? libraryPath();
    throw new ConfigError(
      `${file}: models.${name}.device is ${device}, but ${lackOf(needs, library)}; auto and cpu would do`,
    );
  }
}

function lackOf({ provider, file }: Needs, library: string): string {
  const providers = providersOf(library);
  if (!providers.includes(provider))
    return `${library} has no ${provider}, only ${providers.join(', ')}`;
  if (file !== null && !existsSync(join(dirname(library), file)))
    return `${file} is not beside ${library}: npm ships the CPU's and WebGPU's providers, and COXSWAIN_ORT_LIB can name another build`;
  return 'this version runs every model on the CPU';
}
