/** What the pages say of files is so: links lead somewhere, named sources exist, every page is listed. */

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

const under = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
    join(folder, file),
  );
const pages = ['README.md', 'CHANGELOG.md', ...['docs', 'models', 'config'].flatMap(under)].filter(
  (file) => file.endsWith('.md'),
);

const read = (page: string): string => readFileSync(join(root, page), 'utf8');
/** Without what is code: a bracket there is no link, a hash no heading. */
const prose = (page: string): string => read(page).replaceAll(/^```.*?^```/gms, '');

/** As the usual renderers make them of headings. */
const anchors = (page: string): string[] =>
  [...prose(page).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

test.each(pages)('the links of %s lead to pages and headings that are there', (page) => {
  for (const [, link = ''] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? page : join(dirname(page), path);
    expect(existsSync(join(root, target)), `${link} in ${page}`).toBe(true);
    if (anchor !== undefined) expect(anchors(target), `${link} in ${page}`).toContain(anchor);
  }
});

/** Of other projects' trees, and places where a reader puts a file of their own. */
const NAMED = /`((?:src|test|docs|config|models)\/[\w./-]+\.\w+)`/g;

test.each(pages)('the files that %s names are there', (page) => {
  for (const [, path = ''] of read(page).matchAll(NAMED))
    if (!path.includes('NAME'))
      expect(existsSync(join(root, path)), `${path} in ${page}`).toBe(true);
});

test.each([
  ['docs/README.md', 'docs'],
  ['docs/decisions/README.md', 'docs/decisions'],
])('%s lists every page beside it', (index, folder) => {
  const listed = [...prose(index).matchAll(/\]\(([^)#\s]+)/g)].map(([, link]) => link);
  for (const file of readdirSync(join(root, folder)))
    if (file.endsWith('.md') && file !== 'README.md')
      expect(listed, `${file} is not in ${relative(root, join(root, index))}`).toContain(file);
});

test.each(pages)('%s names no place of one machine', (page) => {
  expect(read(page)).not.toMatch(/(?<![\w.])\/(?:work|root|home|Users)\//);
});

test.each(pages)('%s is one page, and not two that a merge left side by side', (page) => {
  expect(read(page)).not.toMatch(/<<<<<<<|>>>>>>>|(> ){7}/);
});
