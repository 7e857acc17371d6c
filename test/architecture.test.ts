/** Which folder may import which. A new arrow is a design decision: it is made here, in review. */

import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { minVersion, satisfies } from 'semver';
import { expect, test } from 'vitest';
import { STATUS } from '../src/core/errors.ts';

/** A folder may always import itself; files beside the folders compose everything. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  strategies: ['core'],
  guides: ['core'],
  engine: ['core'],
  rewards: ['core'],
  runtime: ['core'],
  ops: ['core'],
  rules: ['core'],
  importer: ['core', 'runtime'],
  steering: ['core', 'importer', 'ops', 'runtime'],
  plan: ['core', 'rules', 'strategies'],
  run: ['core', 'plan', 'strategies', 'guides'],
  api: ['core', 'plan', 'ops'],
};

/** Packages that live behind one file, or one folder. */
const BEHIND: Readonly<Record<string, RegExp>> = {
  koffi: /^runtime\/ort\//,
  'onnxruntime-node': /^runtime\/ort\//,
  '@huggingface/tokenizers': /^runtime\/text\/tokenizer\.ts$/,
  '@huggingface/jinja': /^runtime\/text\/chat_template\.ts$/,
  express: /^api\//,
  ws: /^api\//,
  'prom-client': /^ops\/metrics\.ts$/,
  pino: /^ops\/log\.ts$/,
  '@opentelemetry/api': /^ops\/tracing\.ts$/,
  '@cfworker/json-schema': /^rewards\/json_schema\.ts$/,
  cockatiel: /^rewards\/http\.ts$/,
  yaml: /^ops\/config\.ts$/,
  'lru-cache': /^(engine\/prefix_cache|rewards\/cached|rules\/compile|api\/responses\/store)\.ts$/,
};

const root = join(import.meta.dirname, '../src');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);
const IMPORT = /^(?:import|export) [^;]*?from '([^']+)';|^import '([^']+)';/gms;

const importsOf = (file: string): string[] =>
  [...readFileSync(join(root, file), 'utf8').matchAll(IMPORT)].map(
    ([, from, bare]) => from ?? bare ?? '',
  );

/** What other files import by name, sources and tests alike: FILE NAME. */
const taken = new Set(
  ['../src', '../test'].flatMap((folder) => {
    const at = join(import.meta.dirname, folder);
    const found = readdirSync(at, { recursive: true, encoding: 'utf8' });
    return found.filter((file) => file.endsWith('.ts')).flatMap((file) => takenBy(join(at, file)));
  }),
);

function takenBy(file: string): string[] {
  const named = /^(?:import|export) (?:type )?\{([^}]*)\} from '(\.[^']+)';/gm;
  return [...readFileSync(file, 'utf8').matchAll(named)].flatMap(([, names = '', from = '']) =>
    names
      .split(',')
      .map((name) =>
        name
          .trim()
          .replace(/^type /, '')
          .replace(/ as .*/, ''),
      )
      .map((name) => `${relative(root, join(dirname(file), from))} ${name}`),
  );
}

test.each(files)('%s exports nothing that nobody imports', (file) => {
  const declared = /^export (?:async )?(?:function\*?|const|class|interface|type) (\w+)/gm;
  for (const [, name = ''] of readFileSync(join(root, file), 'utf8').matchAll(declared))
    expect(taken, `${name} could be the file's own`).toContain(`${file} ${name}`);
});

/** '' for files beside the folders. */
const folderOf = (path: string): string => (path.includes('/') ? (path.split('/')[0] ?? '') : '');

test.each(files.filter((file) => folderOf(file) !== ''))('%s imports down the table', (file) => {
  const from = folderOf(file);
  const allowed = MAY_IMPORT[from];
  expect(allowed, `${from}/ is not in the table`).toBeDefined();
  for (const target of importsOf(file).filter((path) => path.startsWith('.'))) {
    const path = relative(root, join(root, dirname(file), target));
    const to = folderOf(path);
    if (to !== from)
      expect(
        allowed,
        `${file} imports ${path}; ${from}/ may import ${allowed?.join(', ')}`,
      ).toContain(to);
  }
});

test.each(files)('%s keeps dependencies behind their files, and is at most 300 lines', (file) => {
  for (const target of importsOf(file)) {
    const place = BEHIND[target];
    if (place) expect(file, `${target} lives behind ${String(place)}`).toMatch(place);
  }
  expect(readFileSync(join(root, file), 'utf8').split('\n').length).toBeLessThanOrEqual(301);
});

/** What npm wrote down of each package that may be installed; '' is this one. */
interface Lock {
  readonly packages: Readonly<Record<string, { readonly engines?: { readonly node?: string } }>>;
}

test('all packages run on the Node that this one promises, as they say themselves; one does so without saying it', () => {
  const { packages } = JSON.parse(readFileSync(join(root, '../package-lock.json'), 'utf8')) as Lock;
  const least = minVersion(packages['']?.engines?.node ?? '');
  const refusing = Object.entries(packages).filter(
    ([, { engines }]) => !satisfies(least ?? '', engines?.node ?? '*'),
  );
  expect(refusing.map(([path]) => path)).toEqual(['node_modules/openai-newest']);
});

test.each(Object.keys(STATUS))('%s is an error that something tells', (code) => {
  const tellers = files.filter(
    (file) =>
      file !== 'core/errors.ts' && readFileSync(join(root, file), 'utf8').includes(`'${code}'`),
  );
  expect(tellers).not.toEqual([]);
});

test.each(files)('%s is one file, and not two that a merge left side by side', (file) => {
  expect(readFileSync(join(root, file), 'utf8')).not.toMatch(/^(<<<<<<<|>>>>>>>) /m);
});
