/** What a model of the config is: what its manifest says, or, where another tool exported the folder, what the export does. */

import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ConfigError, reason } from './ops/config.ts';
import type { ModelEntry } from './ops/config.ts';
import { readManifest } from './ops/manifest.ts';
import type { Manifest } from './ops/manifest.ts';
import { readExport } from './runtime/export.ts';

/** @throws ConfigError that names the file and the field, or what is not supported of an export */
export function describeModel({ path, role }: Pick<ModelEntry, 'path' | 'role'>): Manifest {
  if (existsSync(join(path, 'manifest.json')) || !existsSync(path)) return readManifest(path);
  try {
    const folder = realpathSync(path);
    const { graph, layout, shape, files, limits } = readExport(folder);
    return {
      format: 1,
      name: basename(folder),
      role,
      weights: 'exported',
      layout,
      shape,
      created: Math.floor(statSync(join(folder, graph)).mtimeMs / 1000),
      files: Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, { bytes }])),
      facts: {},
      folder,
      limits: ['its files are not verified: no manifest has their sha256', ...limits],
    };
  } catch (error) {
    throw new ConfigError(reason(error));
  }
}
