/**
 * Density-ratio (implicit) rewards: what two language models' log-probs say about a text.
 *   r_t = beta * (log plus(y_t | x, y_<t) - log minus(y_t | x, y_<t))
 * DPO, implicit process rewards, CDR, TreeBoN and contrastive scores are this with different pairs and sums (METHODS.md 2).
 */

type Numbers = ArrayLike<number>;

/** r_t, one per token. */
export const tokenRewards = (plus: Numbers, minus: Numbers, beta: number): number[] =>
  Array.from(plus, (logProb, t) => beta * (logProb - minus[t]!));

/** sum_{s <= t} r_s: the reward of each prefix. */
export function cumulative(rewards: Numbers): number[] {
  let total = 0;
  return Array.from(rewards, (reward) => (total += reward));
}

export const sum = (rewards: Numbers): number => Array.from(rewards).reduce((a, b) => a + b, 0);

/** sum_t r_t / T: without it long answers win or lose by their length alone. */
export const lengthMean = (rewards: Numbers): number => sum(rewards) / rewards.length;

/**
 * Each step's own reward, sum of r_t over its tokens.
 * @param ends index of the last token of each step, ascending
 */
export const stepRewards = (rewards: Numbers, ends: readonly number[]): number[] => {
  const prefix = cumulative(rewards);
  return ends.map((end, i) => prefix[end]! - (i === 0 ? 0 : prefix[ends[i - 1]!]!));
};

/** sum_k r_k / k, k from 1: early tokens count most (TreeBoN). */
export const decaying = (rewards: Numbers): number =>
  sum(Array.from(rewards, (reward, i) => reward / (i + 1)));

/** 1 / (1 + exp(-x)): the chance of being right, of a reward that was trained by cross-entropy on outcomes. */
export const sigmoid = (x: number): number =>
  x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));

/** -log sigmoid(x), without overflow on either side. */
const negLogSigmoid = (x: number): number => Math.max(-x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** Sums of log-probs of the better (w) and the worse (l) answer. */
export interface Pair {
  readonly policyW: number;
  readonly policyL: number;
  readonly referenceW: number;
  readonly referenceL: number;
}

export interface Preference {
  readonly rewardW: number;
  readonly rewardL: number;
  /** rewardW - rewardL. */
  readonly margin: number;
  /** -log sigmoid(margin). */
  readonly loss: number;
  /** sigmoid(margin): how probable it is that w is preferred (Bradley and Terry). */
  readonly probability: number;
}

/** DPO: reward = beta * (log policy(y|x) - log reference(y|x)), loss = -log sigmoid(reward_w - reward_l). */
export function dpo(pair: Pair, beta: number): Preference {
  const rewardW = beta * (pair.policyW - pair.referenceW);
  const rewardL = beta * (pair.policyL - pair.referenceL);
  const margin = rewardW - rewardL;
  return { rewardW, rewardL, margin, loss: negLogSigmoid(margin), probability: sigmoid(margin) };
}

export interface BradleyTerry {
  readonly margin: number;
  readonly loss: number;
  /** Of the loss, with respect to the chosen answer's log-prob; the rejected one's is its negative. */
  readonly gradient: number;
}

/** GenARM's training loss, no reference model: -log sigmoid(beta * (log q(chosen) - log q(rejected))). */
export function armLoss(chosen: number, rejected: number, beta: number): BradleyTerry {
  const margin = beta * (chosen - rejected);
  return { margin, loss: negLogSigmoid(margin), gradient: -beta * sigmoid(-margin) };
}

export interface Contrast {
  /** a: tokens with p_expert < a * max p_expert are implausible. */
  readonly plausibility: number;
  readonly amateurWeight: number;
  readonly amateurTemperature: number;
}

/** Contrastive decoding: log p_expert(v) - w * log-softmax(amateur / T)(v), -inf where v is implausible. */
export function contrastiveScores(expert: Numbers, amateur: Numbers, contrast: Contrast): number[] {
  const { plausibility, amateurWeight, amateurTemperature } = contrast;
  const strong = logSoftmax(expert);
  const weak = logSoftmax(Array.from(amateur, (x) => x / amateurTemperature));
  const least = strong.reduce((a, b) => Math.max(a, b)) + Math.log(plausibility);
  return strong.map((logProb, v) =>
    logProb >= least ? logProb - amateurWeight * weak[v]! : -Infinity,
  );
}

function logSoftmax(logits: Numbers): number[] {
  const all = Array.from(logits);
  const max = all.reduce((a, b) => Math.max(a, b));
  const norm = max + Math.log(all.reduce((total, x) => total + Math.exp(x - max), 0));
  return all.map((x) => x - norm);
}
