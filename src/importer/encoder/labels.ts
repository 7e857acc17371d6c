/** What the labels of a classification head are, and which of them is the score, in which words. */

import type { Fields } from '../fields.ts';
import type { ClassificationHead } from './spec.ts';

export type LabelHead = Pick<ClassificationHead, 'labels' | 'label' | 'says'>;

const MOST_LABELS = 10_000;

/**
 * One label is the score itself. Of several, `label` says which by name or index; nothing is guessed, since the order
 * of labels means something else in every checkpoint.
 */
export function headOf(f: Fields, label: string | null): LabelHead {
  const labels = labelsOf(f);
  const problem = f.oneOf(
    'problem_type',
    ['regression', 'single_label_classification', 'multi_label_classification', null],
    null,
  );
  const named = `labels ${labels.map((name, i) => `${i} (${name})`).join(', ')}`;
  if (label === null && labels.length > 1)
    throw new Error(`the head has ${named}: say with --label which one is the score`);
  const index = label === null ? 0 : indexOf(labels, label);
  if (index < 0) throw new Error(`--label is ${label ?? ''}; the head has ${named}`);
  const says =
    problem === 'multi_label_classification'
      ? 'probability'
      : problem === 'regression' || labels.length === 1
        ? 'number'
        : 'log_odds';
  return { labels, label: index, says };
}

const indexOf = (labels: readonly string[], label: string): number => {
  const named = labels.indexOf(label);
  return named >= 0 || !/^\d+$/.test(label) || Number(label) >= labels.length
    ? named
    : Number(label);
};

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
