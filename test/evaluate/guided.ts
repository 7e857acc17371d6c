/** What guides do to a policy: answers to held-out openings drawn in this process, and their gold scores. */

import { buildCatalog } from '../../src/catalog.ts';
import type { Draw } from '../../src/core/tree.ts';
import { loadEngines } from '../../src/load.ts';
import type { Config } from '../../src/ops/config.ts';
import { ANYTHING } from '../../src/plan/grant.ts';
import { planner } from '../../src/plan/parse.ts';
import { loadCodec } from '../../src/runtime/text/tokenizer.ts';
import { pooled } from '../support/pooled.ts';
import { runPlan } from '../support/run_plan.ts';
import { mean } from './asked.ts';
import { gold } from './gold.ts';

export const MAX_TOKENS = 160;
/** Requests at once; answers do not depend on it. */
const CROWD = 64;

export type Guides = readonly Record<string, unknown>[];

const arm = (model: string, weight: number) => ({ model, weight });

/** Rows of the table. @param minus what ratios are against: the policy, or one of its vocabulary */
export const settings = (minus: string): readonly (readonly [name: string, guides: Guides])[] => {
  const ratio = (plus: string, weight: number) => ({ plus, minus, weight });
  return [
    ['unguided', []],
    ...[0.25, 0.5, 1, 2].map((w) => [`happy ${w}`, [arm('arm-happy', w)]] as const),
    ...[0.5, 1].map((w) => [`kind ${w}`, [arm('arm-kind', w)]] as const),
    ['happy 0.5, kind 0.5', [arm('arm-happy', 0.5), arm('arm-kind', 0.5)]],
    ['happy (small) 0.5', [arm('arm-happy-small', 0.5)]],
    ['happy (small) 1', [arm('arm-happy-small', 1)]],
    ['ratios happy +0.3, kind -0.3', [ratio('arm-happy', 0.3), ratio('arm-kind', -0.3)]],
    ['ratio happy -0.3', [ratio('arm-happy', -0.3)]],
  ];
};

export interface Asked {
  readonly model: string;
  readonly prompts: readonly string[];
  readonly seeds: readonly number[];
  readonly guides: Guides;
}

export interface Measured {
  /** Gold scores of each prompt, averaged over its seeds. */
  readonly happy: readonly number[];
  readonly kind: readonly number[];
  /** Per token, over all answers. */
  readonly nll: number;
  readonly kl: number;
  readonly bigrams: number;
  /** Of an answer. */
  readonly tokens: number;
  /** Share of answers. */
  readonly unended: number;
}

interface Answer {
  readonly text: string;
  readonly ended: boolean;
  readonly draws: readonly Draw[];
}

/** The models of a config, in this process. */
export function guided(config: Config) {
  const plans = planner(buildCatalog(config, loadCodec));
  const { engine, decoders } = loadEngines(config, () => undefined);

  async function answer({ model, guides }: Asked, prompt: string, seed: number): Promise<Answer> {
    const alignment = { guides, explain: true };
    const body = { model, prompt, max_tokens: MAX_TOKENS, seed, alignment };
    const ambient = {
      id: `${prompt} ${seed}`,
      seed,
      grant: ANYTHING,
      socket: false,
      request: 'req_1',
    };
    const { plan } = plans.completion(body, ambient);
    let [text, ended] = ['', false];
    const draws: Draw[] = [];
    await runPlan(engine, plan, (event) => {
      if (event.kind === 'commit') {
        text += event.text;
        draws.push(...event.draws);
      } else if (event.kind === 'finish') ended = event.reason === 'stop';
    });
    return { text, ended, draws };
  }

  async function measure(asked: Asked): Promise<Measured> {
    const { prompts, seeds } = asked;
    const all = prompts.flatMap((prompt) => seeds.map((seed) => ({ prompt, seed })));
    const given = await pooled(all, CROWD, ({ prompt, seed }) => answer(asked, prompt, seed));
    const answers = prompts.map((_, i) => given.slice(i * seeds.length, (i + 1) * seeds.length));
    const draws = given.flatMap((a) => a.draws);
    const scores = (of: (text: string) => number): number[] =>
      answers.map((some) => mean(some.map(({ text }) => of(text))));
    return {
      happy: scores(gold.happy),
      kind: scores(gold.kind),
      nll: -mean(draws.map((d) => d.base)),
      kl: mean(draws.map((d) => d.kl)),
      bigrams: mean(seeds.map((_, i) => distinctBigrams(answers.map((some) => some[i]!.text)))),
      tokens: draws.length / given.length,
      unended: mean(given.map((a) => Number(!a.ended))),
    };
  }

  return { engine, decoders, measure };
}

/** Distinct bigrams of words over all of them; the share falls with the amount of text, so it is taken of one seed's answers. */
function distinctBigrams(texts: readonly string[]): number {
  const pairs = texts.flatMap((text) => {
    const words = text.split(/\s+/).filter(Boolean);
    return words.slice(1).map((word, i) => `${words[i]} ${word}`);
  });
  return new Set(pairs).size / pairs.length;
}
