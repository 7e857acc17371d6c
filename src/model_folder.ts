/** What a model of the config is: what its manifest says, or, where another tool exported the folder, what the export does. */

import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ConfigError, reason } from './ops/config.ts';
import type { ModelEntry } from './ops/config.ts';
import { readManifest } from './ops/manifest.ts';
import type { Manifest } from './ops/manifest.ts';
import { readExport } from './runtime/export.ts';

type Described = Pick<ModelEntry, 'path' | 'role' | 'graph'>;

/** @throws ConfigError that names the file and the field, or what is not supported of an export */
export function describeModel({ path, role, graph: asked }: Described): Manifest {
  const imported = existsSync(join(path, 'manifest.json'));
  if (imported && asked !== undefined)
    throw new ConfigError(
      `${path} has a manifest, and one graph; graph: ${asked} can be said of other tools' exports only`,
    );
  if (imported || !existsSync(path)) return readManifest(path);
  try {
    const folder = realpathSync(path);
    const { graph, layout, shape, files, limits } = readExport(folder, asked);
    return {
      format: 1,
      name: basename(folder),
      role,
      weights: 'exported',
      layout,
      graph,
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
