/** A reward reads text and judges it; its tokenizer need not be the policy's. What a request asks of its rewards is plain data. */

import type { Extract } from './answer.ts';
import type { ChatMessage, Turn } from './text.ts';
import type { Question, Token } from './tree.ts';

export interface Score {
  /** NaN where the candidate could not be judged: it is disqualified. */
  readonly value: number;
  /** Per member of an ensemble, for metrics and the response. */
  readonly parts: Readonly<Record<string, number>>;
  /** Tokens that models read for it; left out where none were. */
  readonly tokens?: number;
  /** Of members that judge step by step, what they said of each step, as they combine it. */
  readonly steps?: Readonly<Record<string, readonly number[]>>;
  /** Of members that were asked to tell it, what they said of each token of the answer, before they made one value of it. */
  readonly byToken?: Readonly<Record<string, readonly TokenScore[]>>;
}

/** A token of a text as the model that judges reads it: its log-prob, or beta times its log-ratio, in nats. */
export interface TokenScore {
  readonly id: Token;
  /** As it is spelled; special tokens by name. */
  readonly token: string;
  readonly score: number;
}

/** Of sources that know what each token is worth. */
interface Telling {
  /** Id of the member under which a score tells each token's; left out: it tells none. */
  readonly tell?: string;
}

export interface Candidate {
  /** As the client wrote it; of a chat the contents of its messages. */
  readonly prompt: string;
  /** Null where the prompt is no chat. */
  readonly messages: readonly ChatMessage[] | null;
  /** The prompt as each model that judges reads it, by the reading's key. */
  readonly readings: Readonly<Record<string, readonly Token[]>>;
  readonly text: string;
  /** The policy's. */
  readonly tokens: readonly Token[];
  /** Id of its branch: a decoder reward may keep a KV row per branch. */
  readonly branch: number;
  /** It ended by itself, by an end token or a stop string. */
  readonly complete: boolean;
}

/** `reads: 'prefix'` promises that scores of unfinished answers mean something. The plan checks it, not the strategy. */
export interface Reward {
  readonly name: string;
  readonly reads: 'prefix' | 'complete';
  /**
   * @param batch candidates of one request: what is relative (a pool's mean, a quantile) is relative to them
   * @param signal aborts once nobody waits for the scores any longer: what was not begun by then is left
   */
  score(batch: readonly Candidate[], signal?: AbortSignal): Promise<readonly Score[]>;
}

/**
 * Where a member's scores come from; plain data. A new kind is a line here, a file in plan/sources/ that knows
 * its wire, a file in rewards/ that judges, and a line in both tables.
 */
export type RewardSource =
  /** A model with a scalar head, which reads the prompt under its own name. */
  | { readonly kind: 'model'; readonly model: string }
  /** A model with a head that reads a user's latent, and the prompt under its own name. */
  | { readonly kind: 'personal'; readonly model: string; readonly user: readonly number[] }
  /** 1 where the number that the text answers is this one, else 0. */
  | { readonly kind: 'number'; readonly answer: string; readonly extract: Extract }
  /** 1 where the whole text is JSON that fits the schema, else 0. */
  | { readonly kind: 'schema'; readonly schema: JsonSchema }
  | { readonly kind: 'length'; readonly mode: LengthRule['mode']; readonly target: number }
  /** The share of trigrams that occurred before. */
  | { readonly kind: 'repetition' }
  /** Computed by a server that the config names. */
  | { readonly kind: 'http'; readonly name: string }
  /** log q of an answer. */
  | ({
      readonly kind: 'likelihood';
      readonly by: ReadBy;
      readonly aggregate: 'sum' | 'mean';
    } & Telling)
  /** beta * (log plus - log minus) of an answer. */
  | ({
      readonly kind: 'ratio';
      readonly plus: ReadBy;
      readonly minus: ReadBy;
      readonly beta: number;
      readonly aggregate: RatioAggregate;
      /** Texts that end a step; null: every token counts by itself. */
      readonly delimiters: readonly string[] | null;
      readonly sigmoid: boolean;
    } & Telling)
  /** How much likelier a reader is to say the positive lines next. */
  | {
      readonly kind: 'follow_up';
      readonly by: ReadBy;
      readonly positive: readonly Turn[];
      readonly negative: readonly Turn[];
      readonly reads: 'prefix' | 'complete';
    }
  /** What a model answers when it is asked about the answer. */
  | {
      readonly kind: 'judge';
      readonly by: ReadBy;
      readonly questions: readonly JudgeQuestion[];
      /** What it writes first; null: nothing. */
      readonly critique: Critique | null;
      readonly calibration: Calibration | null;
      readonly reads: 'prefix' | 'complete';
    }
  /** Which of two answers a model prefers, over all pairs of a request's candidates of one prompt. */
  | {
      readonly kind: 'pairwise';
      readonly by: ReadBy;
      /** What follows an answer, as text: the other answer is put into it. */
      readonly question: string;
      /** What the model says for the answer that it read first, and for the other one. */
      readonly labels: readonly [Token, Token];
      readonly aggregate: 'win_rate' | 'copeland' | 'lottery' | 'knockout';
      /** Of the two orders: of their probabilities, or of their log-odds. */
      readonly average: 'probability' | 'logit';
      readonly reads: 'prefix' | 'complete';
    };

/** Stands in the question of a judge of pairs for the other answer. */
export const OTHER = '{other}';

/** Already checked to be of bounded size and depth, without references and patterns. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** A language model on one of the readings of a prompt. */
export interface ReadBy {
  readonly model: string;
  /** Key among `Candidate.readings`. */
  readonly reading: string;
}

/** decay: sum_k r_k / k. Of steps, `prod` multiplies sigmoids: each step's chance of being right. */
export type RatioAggregate = 'sum' | 'mean' | 'decay' | 'min' | 'last' | 'prod';

/** Asked after an answer; the judge speaks right behind it. */
export interface JudgeQuestion extends Question {
  /** What each label is worth. */
  readonly values: readonly number[];
}

/** What a judge writes after an answer and before its questions: each is asked behind each critique, and the judgements are averaged. */
export interface Critique {
  /** What asks for it. */
  readonly asks: readonly Token[];
  /** Most tokens of one. */
  readonly tokens: number;
  /** How many are drawn. */
  readonly n: number;
  /** 0: the likeliest tokens. */
  readonly temperature: number;
  readonly seed: number;
}

/** p becomes sigmoid(scale * logit(p) + shift), so that it comes true as often as it says. */
export interface Calibration {
  readonly scale: number;
  readonly shift: number;
}

/** What a request's candidates are ranked by. */
export interface RewardPlan {
  /** Each id once. Those of weight zero are only bounded by constraints. */
  readonly uses: readonly RewardUse[];
  /** Null: the weighted sum of all uses. */
  readonly ensemble: Ensemble | null;
  /** Members with a cap are weighed by multipliers instead of being cut at it; null: they are cut. */
  readonly lagrange: Lagrange | null;
  readonly constraints: readonly Constraint[];
  readonly length: LengthRule | null;
}

/** Texts to be judged without anything being generated. */
export interface Judging {
  readonly id: string;
  /** The request's name in the log. */
  readonly request: string;
  readonly reward: RewardPlan;
  readonly candidates: readonly Candidate[];
}

/** One call of a member, as metrics and the response tell it. */
export interface Evaluation {
  /** Its id in the request. */
  readonly member: string;
  /** Its name in the config, or its kind: one of a closed set. */
  readonly reward: string;
  readonly seconds: number;
  /** failed: it threw, or knew no candidate. slow: it was not waited for any longer. */
  readonly outcome: 'ok' | 'failed' | 'slow';
}

/** Whether an ensemble has nothing to say: on every candidate that it judged its members disagree by more than this. */
export function abstains(
  scores: readonly Pick<Score, 'parts'>[],
  { abstain }: Pick<Ensemble, 'abstain'>,
): boolean {
  const said = scores.flatMap(({ parts: { disagreement } }) => disagreement ?? []);
  return abstain !== null && said.length > 0 && said.every((by) => by > abstain);
}

/** What judging came to. */
export interface Judged {
  readonly scores: readonly Score[];
  readonly evaluations: readonly Evaluation[];
}

/** One member: weight * transform((cap(r) - mean) / std), r being what its steps come to where it has some. */
export interface RewardUse {
  /** Its key among `parts`, and its name in constraints. */
  readonly id: string;
  readonly source: RewardSource;
  /** Null: texts are judged as a whole. */
  readonly steps: Steps | null;
  readonly weight: number;
  /** Scores above it count as it: a proxy is not to be trusted beyond (METHODS.md 3, constrained). */
  readonly cap: number | null;
  /** What scores are normalised with: stored figures, those of the request's own candidates, their ranks among these (from 1, the worst), or nothing. */
  readonly scale: Scale | 'pool' | 'rank' | null;
  readonly transform: Transform | null;
}

/** A text cut after each delimiter: step k's score is that of the text up to its end. */
export interface Steps {
  readonly until: readonly string[];
  /** What there is beyond these belongs to the last. */
  readonly most: number;
  /** On the steps' scores. delta: r_k - r_k+1, then r_K-1, then 0. */
  readonly transform:
    { readonly kind: 'clip'; readonly eta: number } | { readonly kind: 'delta' } | null;
  readonly aggregate: 'min' | 'last' | 'prod' | 'mean' | 'sum';
}

export interface Scale {
  readonly mean: number;
  readonly std: number;
}

/**
 * log_sigmoid: log sigmoid(r - reference), a quantile being the request's own candidates'. clip: min(r - eta, 0).
 * win_rate: mean of sigmoid(r - r') over the request's other candidates.
 */
export type Transform =
  | { readonly kind: 'log_sigmoid'; readonly reference: number | { readonly quantile: number } }
  | { readonly kind: 'win_rate' }
  | { readonly kind: 'clip'; readonly eta: number };

/** Many rewards read as one. uwo = mean - lambda * variance, lcb = mean - lambda * deviation. */
export interface Ensemble {
  /** Ids; null: all. What the others say is added, weighted. */
  readonly members: readonly string[] | null;
  /** An answer whose candidates all have members that disagree by more is marked abstained; null: never. */
  readonly abstain: number | null;
  readonly aggregate:
    'mean' | 'median' | 'min' | 'max' | 'uwo' | 'lcb' | 'distance' | 'squared_distance' | 'cosine';
  /** Of the last three: where the members' scores should be, by id; 0 where it does not say. */
  readonly ideal?: Readonly<Record<string, number>>;
  readonly lambda: number;
  readonly variance: 'population' | 'unbiased';
}

/** `steps` dual steps of size `rate` over the request's own candidates, from multipliers of 1/2. */
export interface Lagrange {
  readonly rate: number;
  readonly steps: number;
}

/** Candidates whose raw score by a member lies outside rank below all others. */
export interface Constraint {
  /** Id of a use. */
  readonly member: string;
  readonly min: number;
  readonly max: number;
}

/** linear: r - lambda * tokens. over: r - lambda * max(0, tokens - target). ratio: r * min(1, tokens / target). */
export interface LengthRule {
  readonly mode: 'linear' | 'over' | 'ratio';
  readonly target: number;
  readonly lambda: number;
  /** Taken off times the share of trigrams that occurred before. */
  readonly repetition: number;
}
