/** {"judge": MODEL, "question" | "criterion": ...}: what a language model answers when it is asked about the answer. */

import { z } from 'zod';
import { ServeError } from '../../core/errors.ts';
import { either, integer, list, number, strict, text, wrong } from '../../core/fields.ts';
import type { Critique, JudgeQuestion } from '../../core/reward.ts';
import type { Catalog, Limits, ModelCard } from '../catalog.ts';
import { ownPrompt } from '../wire.ts';
import { labelToken, languageModel, questionTokens, readsField, yesNo } from './language_model.ts';
import { readingOf, sourceKind } from './source.ts';
import type { SourceSpec } from './source.ts';

const MOST_LABELS = 10;
const label = text(64, 1);

/** One text, or several whose judgements are averaged. */
const texts = ({ questions, questionLength }: Limits) =>
  z
    .union([text(questionLength, 1), list(text(questionLength, 1), questions, 1)], {
      error: `a string of 1 to ${questionLength} characters, or a list of 1 to ${questions} of them`,
    })
    .transform((one) => (typeof one === 'string' ? [one] : one))
    .nullish();

const critiqueField = ({ questionLength }: Limits) =>
  strict({
    question: text(questionLength, 1),
    max_tokens: either(integer(1, 1_000_000), 64),
    n: either(integer(1, 1024), 1),
    temperature: number(0, 2).nullish(),
    seed: either(integer(0, Number.MAX_SAFE_INTEGER), 0),
  }).nullish();

const fields = (limits: Limits) => ({
  judge: text(256, 1),
  question: texts(limits),
  criterion: texts(limits),
  ratings: list(label, MOST_LABELS, 2).nullish(),
  options: list(text(limits.questionLength, 1), 2, 2).nullish(),
  labels: list(label, 2, 2).nullish(),
  critique: critiqueField(limits),
  prompt: ownPrompt,
  reads: readsField,
});
type JudgeWire = z.output<z.ZodObject<ReturnType<typeof fields>>>;

export const judge = sourceKind(fields, (wire, at, catalog) => {
  const card = languageModel(wire.judge, `${at}.judge`, catalog);
  const questions = asked(wire, at).flatMap(({ text: question, at: path }) =>
    questionsOf(question, path, wire, at, card),
  );
  return judging(card, questions, null, {
    name: `judge:${card.name}`,
    reads: wire.reads ?? 'complete',
    at: `${at}.judge`,
    own: wire.prompt,
    critique: wire.critique ? critiqueOf(wire.critique, `${at}.critique`, card, catalog) : null,
  });
});

type Saying = Pick<SourceSpec, 'name' | 'reads' | 'at'> & {
  readonly own: JudgeWire['prompt'];
  readonly critique: Critique | null;
};

export function judging(
  card: ModelCard,
  questions: readonly JudgeQuestion[],
  calibration: SelfCalibration,
  { name, reads, at, own, critique }: Saying,
): SourceSpec {
  const written = critique === null ? 0 : critique.asks.length + critique.tokens;
  const extra = written + Math.max(...questions.map(({ asks }) => asks.length));
  const reading = readingOf(card, own, at, extra);
  const by = { model: card.name, reading: reading.key };
  return {
    source: { kind: 'judge', by, questions, critique, calibration, reads },
    name,
    reads,
    readings: [reading],
    at,
  };
}
type SelfCalibration = Extract<SourceSpec['source'], { kind: 'judge' }>['calibration'];

/** Refused where the config gives the judge no rows to write in: in the searches' own it could wait for what waits for it. */
function critiqueOf(
  wire: NonNullable<JudgeWire['critique']>,
  at: string,
  card: ModelCard,
  { models }: Catalog,
): Critique {
  const { question, max_tokens: tokens, n, seed } = wire;
  const rows = card.critiqueRows ?? 0;
  if (rows === 0) {
    const able = [...models.values()].filter((one) => one.critiqueRows).map(({ name }) => name);
    throw new ServeError(
      'reward_mismatch',
      `${at}: ${card.name} has no KV rows to write critiques in, which are critique_rows of its model in the config; models that have some: ${able.join(', ') || 'none'}`,
      at,
    );
  }
  if (n > rows)
    throw wrong(`${at}.n`, n, `at most ${rows}, as many as ${card.name} writes at once`);
  const temperature = wire.temperature ?? (n > 1 ? 1 : 0);
  if (n > 1 && temperature === 0)
    throw wrong(
      `${at}.temperature`,
      0,
      `above 0 beside n ${n}: without chance all critiques are one`,
    );
  const asks = questionTokens(card, question, `${at}.question`);
  return { asks, tokens, n, temperature, seed };
}

/** The questions as the judge reads them: as given, or made of criteria. */
function asked(wire: JudgeWire, at: string): { readonly text: string; readonly at: string }[] {
  const { question, criterion, ratings } = wire;
  if (question && criterion)
    throw wrong(`${at}.criterion`, criterion, 'left out beside a question, which says it all');
  const given = question ?? criterion;
  if (!given) throw wrong(`${at}.question`, undefined, 'a question, or a criterion in its place');
  const path = question ? `${at}.question` : `${at}.criterion`;
  return given.map((one, i) => ({
    text: question ? one : worded(one, ratings ?? null),
    at: given.length === 1 ? path : `${path}[${i}]`,
  }));
}

const worded = (criterion: string, ratings: readonly string[] | null): string =>
  ratings === null
    ? `Does the answer meet this criterion: ${criterion}?`
    : `Rate the answer from ${ratings[0]} to ${ratings.at(-1)} by this criterion: ${criterion}`;

/** One question for yes and no or for ratings; two, in both orders, for two options. */
function questionsOf(
  question: string,
  path: string,
  { ratings, options, labels }: JudgeWire,
  at: string,
  card: ModelCard,
): JudgeQuestion[] {
  const tokensOf = (all: readonly string[], field: string) =>
    all.map((one, i) => labelToken(card, one, `${at}.${field}[${i}]`));
  if (ratings) {
    if (options ?? labels)
      throw wrong(`${at}.ratings`, ratings, 'left out beside options or labels');
    const asks = questionTokens(card, question, path);
    return [{ asks, labels: tokensOf(ratings, 'ratings'), values: worthOf(ratings) }];
  }
  if (!options) {
    const asks = questionTokens(card, question, path);
    return [{ asks, labels: tokensOf(labels ?? yesNo(card), 'labels'), values: [1, 0] }];
  }
  for (const mark of [FIRST, SECOND])
    if (!question.includes(mark))
      throw wrong(path, question, `a text with ${FIRST} and ${SECOND} where the options stand`);
  const places = tokensOf(labels ?? ['A', 'B'], 'labels');
  const [better, worse] = options as [string, string];
  return [
    { asks: [better, worse], values: [1, 0] },
    { asks: [worse, better], values: [0, 1] },
  ].map(({ asks: [first, second], values }) => ({
    asks: questionTokens(card, placed(question, first!, second!), path),
    labels: places,
    values,
  }));
}

const [FIRST, SECOND] = ['{first}', '{second}'] as const;

const placed = (question: string, first: string, second: string): string =>
  question.replaceAll(/\{first\}|\{second\}/g, (mark) => (mark === FIRST ? first : second));

/** Ratings that are numbers count as they are, others by their place from 1. */
function worthOf(ratings: readonly string[]): number[] {
  const numbers = ratings.map(Number);
  return numbers.every(Number.isFinite) ? numbers : ratings.map((_, i) => i + 1);
}
