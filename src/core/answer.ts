/** What a text answers, so that texts can be counted: the last number, a named pattern, or a place in a JSON document. */

import { z } from 'zod';
import { oneOf, strict, text } from './fields.ts';

/** The last match's first group is the answer. From a list, so that no client brings a pattern of its own to run. */
const PATTERNS = {
  boxed: /\\boxed\{([^{}]{1,200})\}/g,
  answer_is: /answer(?: is|:)[ ]{0,4}([^\n]{1,200})/gi,
  after_hashes: /####[ ]{0,4}([^\n]{1,200})/g,
  choice: /\(([A-Ja-j])\)/g,
} as const;
/** A dash after a word or a digit is not a sign. */
const NUMBER = /(?:(?<!\w)-)?\d[\d,]*(?:\.\d+)?/g;

const names = Object.keys(PATTERNS) as (keyof typeof PATTERNS)[];

export const answerField = z.union(
  [
    strict({ extract: z.literal('last_number') }),
    strict({ extract: z.literal('regex'), pattern: oneOf(names) }),
    strict({ extract: z.literal('json_pointer'), pointer: text(256) }),
  ],
  {
    error: `{"extract": "last_number"}, {"extract": "regex", "pattern": ${names.join(' | ')}} or {"extract": "json_pointer", "pointer": "/a/b"}`,
  },
);

export type Extract = z.output<typeof answerField>;

/** Null where the text has no answer: it does not vote. Equal answers are equal strings. */
export function answerIn(text: string, how: Extract): string | null {
  switch (how.extract) {
    case 'last_number':
      return number(text.match(NUMBER)?.at(-1) ?? null);
    case 'regex':
      return plain([...text.matchAll(PATTERNS[how.pattern])].at(-1)?.[1] ?? null);
    case 'json_pointer':
      return at(text, how.pointer);
  }
}

const LONGEST_NUMBER = 128;

/** Whether what a text answers is this number: 44, 44.0 and 044 are one, and it stands alone. */
export function isNumber(answer: string | null, wanted: string): boolean {
  if (answer === null || answer.length > LONGEST_NUMBER) return false;
  const whole = /^\s*(-?\d[\d,]*(?:\.\d+)?)\s*$/.exec(answer)?.[1];
  return whole !== undefined && number(whole) === number(wanted);
}

/** 1,024.0 is 1024. Numbers too long for a double stay as they are written. */
function number(written: string | null): string | null {
  if (written === null) return null;
  const digits = written.replaceAll(',', '');
  return digits.replaceAll(/\D/g, '').length > 15 ? digits : String(Number(digits) + 0);
}

/** Without case, space around it and the full stop of its sentence. */
const plain = (found: string | null): string | null =>
  found?.trim().replace(/[.!]$/, '').toLowerCase() || null;

/** RFC 6901: `/a/0`, with ~1 for / and ~0 for ~; the empty pointer is the whole document. */
function at(text: string, pointer: string): string | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (pointer !== '' && !pointer.startsWith('/')) return null;
  for (const raw of pointer.split('/').slice(1)) {
    const key = raw.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return null;
    if (Array.isArray(value) && key === 'length') return null;
    value = (value as Record<string, unknown>)[key];
  }
  if (value === null) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
