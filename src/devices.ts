/** Where models run. A device that cannot be had is refused when the server starts, with what stands in the way and what would do. */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError, reason } from './ops/config.ts';
import type { Config, ModelEntry } from './ops/config.ts';
import { cpu, type Device } from './runtime/devices/device.ts';
import { Ort } from './runtime/ort/ort.ts';
import { providersOf } from './runtime/ort/api.ts';
import { libraryPath } from './runtime/ort/path.ts';
import { webgpu } from './runtime/devices/webgpu.ts';

type Named = ModelEntry['device'];
/** The device that a name means: the processor unless it says otherwise. */
export type Place = Exclude<Named, 'auto'>;

export const placeOf = ({ device }: Pick<ModelEntry, 'device'>): Place =>
  device === 'auto' ? 'cpu' : device;

interface Kind {
  readonly provider: string;
  /** A second library, beside ONNX Runtime's own; null: the provider is inside. */
  readonly file: string | null;
  /** What a machine must have. */
  readonly needs: string;
  /** null: this version does not run it. */
  readonly open: ((ort: Ort) => Device) | null;
}

const KINDS: Readonly<Record<Place, Kind>> = {
  cpu: { provider: 'CPUExecutionProvider', file: null, needs: 'a processor', open: cpu },
  webgpu: {
    provider: 'WebGpuExecutionProvider',
    file: null,
    needs: 'a GPU and its driver (on Linux one of Vulkan, and libvulkan.so.1)',
    open: webgpu,
  },
  cuda: {
    provider: 'CUDAExecutionProvider',
    file: 'libonnxruntime_providers_cuda.so',
    needs: 'a GPU of NVIDIA and its driver',
    open: null,
  },
};

/** The shared library that models run in. */
export const library = (): string => process.env['COXSWAIN_ORT_LIB'] ?? libraryPath();

/** @throws ConfigError that names the model, its device, and what the library or this version lacks */
export function refuseDevices({ file, models }: Config): void {
  for (const [name, entry] of Object.entries(models)) {
    const lack = lackOf(KINDS[placeOf(entry)], library());
    if (lack !== null) throw refused(file, name, entry, lack);
  }
}

/** The devices of a config's models by their names, each opened when it is first asked for and then kept. */
export function devicesOf(ort: Ort, { file, models }: Config): (model: string) => Device {
  const opened = new Map<Place, Device>();
  return (name) => {
    const entry = models[name]!;
    const place = placeOf(entry);
    const known = opened.get(place);
    if (known !== undefined) return known;
    const { open, needs } = KINDS[place];
    if (open === null) throw refused(file, name, entry, NOT_RUN);
    try {
      const device = open(ort);
      opened.set(place, device);
      return device;
    } catch (error) {
      throw refused(file, name, entry, `it does not open: ${reason(error)}. It needs ${needs}`);
    }
  };
}

/** Opens every device of a config and closes it again. @throws ConfigError as `devicesOf` does */
export function tryDevices(config: Config): void {
  const others = Object.entries(config.models).filter(([, entry]) => placeOf(entry) !== 'cpu');
  if (others.length === 0) return;
  using ort = new Ort({ threads: 1, library: library() });
  const deviceOf = devicesOf(ort, config);
  for (const device of new Set(others.map(([name]) => deviceOf(name)))) device[Symbol.dispose]();
}

const refused = (file: string, name: string, { device }: ModelEntry, lack: string): ConfigError =>
  new ConfigError(
    `${file}: models.${name}.device is ${device}, but ${lack}; auto and cpu would do`,
  );

const NOT_RUN =
  "this version does not run it: its graphs keep KV of float32, and CUDA's attention takes halves only (docs/devices.md)";

function lackOf({ provider, file, open }: Kind, path: string): string | null {
  const providers = providersOf(path);
  if (!providers.includes(provider))
    return `${path} has no ${provider}, only ${providers.join(', ')}`;
  if (file !== null && !existsSync(join(dirname(path), file)))
    return `${file} is not beside ${path}: npm ships the CPU's and WebGPU's providers, and COXSWAIN_ORT_LIB can name another build`;
  return open === null ? NOT_RUN : null;
}
