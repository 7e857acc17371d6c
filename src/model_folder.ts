/** What a model of the config is: what its manifest says, or, where another tool exported the folder, what the export does. */

import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ConfigError, reason } from './ops/config.ts';
import type { ModelEntry } from './ops/config.ts';
import { readManifest } from './ops/manifest.ts';
import type { Manifest } from './ops/manifest.ts';
import { readClassifier, type Classifier } from './runtime/exports/classifier.ts';
import { readExport } from './runtime/exports/export.ts';

type Described = Pick<ModelEntry, 'path' | 'role' | 'graph' | 'label' | 'reads'>;

/** @throws ConfigError that names the file and the field, or what is not supported of an export */
export function describeModel(entry: Described): Manifest {
  const { path, graph, label } = entry;
  const imported = existsSync(join(path, 'manifest.json'));
  if (imported && (graph ?? label) !== undefined)
    throw new ConfigError(
      `${path} has a manifest, which names its graph and what it says: graph and label are for other tools' exports`,
    );
  if (imported || !existsSync(path)) return readManifest(path);
  try {
    return exported(realpathSync(path), entry);
  } catch (error) {
    throw new ConfigError(reason(error));
  }
}

function exported(folder: string, { role, graph: asked, label, reads }: Described): Manifest {
  const classifier = readClassifier(folder, { graph: asked, label });
  if (classifier !== null && role !== 'reward' && role !== 'value')
    throw new Error(
      `${folder} says numbers of texts: its role can be reward or value, given ${role}`,
    );
  const found = classifier === null ? decoderOf(folder, asked) : classifierOf(classifier);
  const { graph, files, limits, ...described } = found;
  return {
    format: 1,
    name: basename(folder),
    role,
    weights: 'exported',
    ...described,
    ...(reads === undefined ? {} : { reads }),
    graph,
    created: Math.floor(statSync(join(folder, graph)).mtimeMs / 1000),
    files: Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, { bytes }])),
    facts: {},
    folder,
    limits: ['its files are not verified: no manifest has their sha256', ...limits],
  };
}

function decoderOf(folder: string, asked: string | undefined) {
  const { graph, layout, shape, files, limits } = readExport(folder, asked);
  return { graph, layout, shape, files, limits };
}

const classifierOf = ({ graph, shape, files, limits, pair }: Classifier) =>
  ({
    head: 'scalar',
    whole: true,
    layout: pair === null ? 'classifier' : 'pair_classifier',
    graph,
    shape,
    files,
    limits,
  }) as const;
