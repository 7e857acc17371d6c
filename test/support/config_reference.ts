/** npm run docs: writes docs/config.md, the config's reference, from its schema. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format } from 'prettier';
import { schemaOf } from '../../src/core/json_schema.ts';
import { configSchema } from '../../src/ops/config_schema.ts';

interface Shape {
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Shape | boolean;
  readonly anyOf?: readonly Shape[];
  readonly items?: Shape;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

export const REFERENCE = join(import.meta.dirname, '../../docs/config.md');

const HEAD = `# The config

Made by \`npm run docs\` from src/ops/config_schema.ts; a test compares them. \`coxswain serve --config FILE --check-config\` says whether a file would serve.
YAML; keys that are not listed here are refused. Sizes are bytes, or have a unit (1024 based): \`64MB\`, \`1GB\`. NAME is of your choice. A field without a default may be left out unless it is marked as needed.
`;

export function reference(): Promise<string> {
  const { properties = {}, required = [] } = schemaOf(configSchema) as Shape;
  const sections = Object.entries(properties).map(([name, shape]) =>
    section(name, shape, required),
  );
  return format(`${HEAD}\n${sections.join('\n')}`, { parser: 'markdown', printWidth: 100 });
}

function section(name: string, shape: Shape, required: readonly string[]): string {
  const rows = rowsOf(shape, '');
  const table = rows.length > 0 ? rows : [row(name, shape, required.includes(name))];
  const what = rows.length > 0 ? `${shape.description}\n\n` : '';
  return `## ${name}\n\n${what}| key | what it takes | default | |\n| --- | --- | --- | --- |\n${table.join('\n')}\n`;
}

/** The fields of an object, those of objects in it after themselves. */
function rowsOf(
  { properties, required = [], additionalProperties: each }: Shape,
  path: string,
): string[] {
  if (properties === undefined)
    return typeof each === 'object' && each.properties ? rowsOf(each, `${path}NAME.`) : [];
  return Object.entries(properties).flatMap(([key, shape]) => {
    const inner = rowsOf(shape, `${path}${key}.`);
    return [row(path + key, shape, required.includes(key)), ...inner];
  });
}

const row = (path: string, shape: Shape, needed: boolean): string =>
  `| \`${path}\` | ${typeOf(shape)} | ${needed ? 'needed' : defaultOf(shape)} | ${shape.description ?? ''} |`;

function defaultOf({ default: value, format: unit, properties }: Shape): string {
  if (value === undefined || properties) return '';
  const shown = unit === 'bytes' ? bytes(Number(value)) : JSON.stringify(value);
  return `\`${shown.replaceAll('"', '')}\``;
}

function bytes(count: number): string {
  const [unit, size] = (
    [
      ['GB', 2 ** 30],
      ['MB', 2 ** 20],
      ['KB', 2 ** 10],
    ] as const
  ).find(([, one]) => count >= one && count % one === 0) ?? ['B', 1];
  return `${count / size}${unit}`;
}

const figure = (value: number): string => value.toLocaleString('en');
const span = (least: number | undefined, most: number | undefined): string =>
  `${figure(least ?? 0)} to ${figure(most ?? Infinity)}`;

function typeOf(shape: Shape): string {
  if (shape.format === 'bytes') return 'a size';
  if (shape.format === 'uri') return 'an http or https URL';
  if (shape.enum) return shape.enum.map((one) => `\`${one}\``).join(', ');
  const forms = (shape.anyOf ?? []).filter(({ type }) => type !== 'null');
  if (forms.length > 0) return forms.map(typeOf).join(' or ');
  switch (shape.type ?? 'unknown') {
    case 'integer':
      return `an integer, ${span(shape.minimum, shape.maximum)}`;
    case 'number':
      return `a number, ${span(shape.minimum, shape.maximum)}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      return shape.maxLength
        ? `a text, ${span(shape.minLength, shape.maxLength)} characters`
        : 'a text';
    case 'array':
      return `a list, ${span(shape.minItems, shape.maxItems)} of: ${typeOf(shape.items ?? {})}`;
    case 'object':
      return shape.properties ? 'an object' : 'an object by NAME';
    default:
      throw new Error(`no words for ${JSON.stringify(shape)}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(REFERENCE, await reference());
