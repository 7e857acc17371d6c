/** What the labels of a classification head are, and which of them is the score, in which words. */

import { labelOf, PROBLEMS } from '../../runtime/exports/labels.ts';
import type { Fields } from '../fields.ts';
import type { ClassificationHead } from './spec.ts';

export type LabelHead = Pick<ClassificationHead, 'labels' | 'label' | 'says'>;

const MOST_LABELS = 10_000;

/** @param label name or index of the one that is the score. Throws an Error that names the field, or lists the labels */
export function headOf(f: Fields, label: string | null): LabelHead {
  const labels = labelsOf(f);
  const problem = f.oneOf('problem_type', PROBLEMS, null);
  return { labels, ...labelOf(labels, problem, label, '--label') };
}

/** Configs leave out what is usual: two labels without names. */
function labelsOf(f: Fields): string[] {
  const given = f.object('id2label');
  const count = f.count('num_labels', given?.size ?? 2, MOST_LABELS);
  if (given !== null && given.size !== count)
    f.refuse('id2label', `an object of ${count} labels, as num_labels says`);
  return Array.from({ length: count }, (_, i) => {
    const name = given?.get(String(i)) ?? null;
    if (name !== null && typeof name !== 'string') f.refuse('id2label', 'names by index');
    if (name === null && given !== null) f.refuse('id2label', `a name for label ${i}`);
    return typeof name === 'string' ? name : `LABEL_${i}`;
  });
}
