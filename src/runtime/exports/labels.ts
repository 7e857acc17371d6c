/** Which label of a classification head is the score, and in which words it is said. */

/** The logit itself, its sigmoid, or what it says against all other labels: log p / (1 - p) of the softmax. */
export type Says = 'number' | 'probability' | 'log_odds';

/** `problem_type` of a config. */
export const PROBLEMS = [
  'regression',
  'single_label_classification',
  'multi_label_classification',
  null,
] as const;

/**
 * One label is the score itself. Of several, `asked` says which by name or index; nothing is guessed, since the order
 * of labels means something else in every checkpoint.
 * @param how a user says which, for the message
 * @throws Error that lists the labels
 */
export function labelOf(
  labels: readonly string[],
  problem: (typeof PROBLEMS)[number],
  asked: string | null,
  how: string,
): { readonly label: number; readonly says: Says } {
  const named = `labels ${labels.map((name, i) => `${i} (${name})`).join(', ')}`;
  if (asked === null && labels.length > 1)
    throw new Error(`the head has ${named}: say with ${how} which one is the score`);
  const label = asked === null ? 0 : indexOf(labels, asked);
  if (label < 0) throw new Error(`${how} is ${asked ?? ''}; the head has ${named}`);
  if (problem === 'multi_label_classification') return { label, says: 'probability' };
  const alone = problem === 'regression' || labels.length === 1;
  return { label, says: alone ? 'number' : 'log_odds' };
}

function indexOf(labels: readonly string[], asked: string): number {
  const named = labels.indexOf(asked);
  if (named >= 0 || !/^\d+$/.test(asked) || Number(asked) >= labels.length) return named;
  return Number(asked);
}
