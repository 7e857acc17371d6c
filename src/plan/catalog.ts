/** The names this server knows, and the limits it keeps. Built once at start; read by every request. */

import type { Calibration } from '../core/reward.ts';
import type { Schedule } from '../core/strategy.ts';
import type { Codec } from '../core/text.ts';
import type { RuleLimits } from '../rules/compile.ts';

export interface ModelCard {
  readonly name: string;
  readonly role: 'policy' | 'guide' | 'reward' | 'value';
  /** Longest sequence, in tokens. */
  readonly context: number;
  /** Its own tokenizer and chat template; guides share the policy's ids, not its template. */
  readonly codec: Codec;
  /** A scalar instead of a vocabulary's logits: it says one number of a text. */
  readonly head?: 'scalar';
  /** It tells the states of its layers. */
  readonly layerStates?: true;
  /** How far it can be trusted to judge its own answers; left out where nobody measured. */
  readonly selfEvaluation?: SelfEvaluation;
  /** Policies and guides: the vocabulary they share, by the name of its first policy; null for the others. */
  readonly vocabulary: string | null;
  /** Its graph has an input that vectors are added by. */
  readonly steerable?: boolean;
  /** Rewards only: numbers of a user's latent, where its head reads one. */
  readonly users?: number;
  /** Language models only: how many critiques they may write at once; left out: none. */
  readonly critiqueRows?: number;
  /** Rewards only: what they may score. */
  readonly reads?: 'prefix' | 'complete';
  /** Rewards only, where the manifest has them: figures of their scores over the policy's own samples. */
  readonly stats?: RewardStats;
  /** Rewards only, where the manifest has them: when answers may be given up by their beginnings. */
  readonly schedules?: readonly Schedule[];
  /** Seconds since the epoch, from the manifest. */
  readonly created: number;
}

/** From the manifest: what the model was asked about its own answers, and what its log-odds have to become to be right. */
interface SelfEvaluation extends Calibration {
  readonly question: string;
}

export interface RewardStats {
  readonly mean: number;
  readonly std: number;
  /** Score at each share of the samples, ascending. */
  readonly quantiles: readonly (readonly [share: number, score: number])[];
}

/** A reward that another server computes; where it is, clients neither say nor learn. */
interface RemoteCard {
  readonly name: string;
  readonly reads: 'prefix' | 'complete';
}

/** A vector that a policy can be steered by. */
interface VectorCard {
  readonly name: string;
  /** The policy whose states it is added to. */
  readonly model: string;
}

/** A model name that clients can pick, standing for a policy and a default `alignment`. */
export interface Preset {
  readonly name: string;
  readonly policy: string;
  /** As on the wire, checked when the config is read. */
  readonly alignment: Readonly<Record<string, unknown>>;
  /** Most tokens one request may generate, over all branches and choices; null: the server's own limit. */
  readonly maxCost: number | null;
}

/** Bounds on what one request may ask; every one is in the config. */
export interface Limits {
  /** n x prompts x branches. */
  readonly branches: number;
  /** n x prompts x branches x max_tokens; and what a search that grows as it goes may draw. */
  readonly tokens: number;
  /** Most milliseconds that a budget may ask for. */
  readonly budgetMs: number;
  readonly guides: number;
  readonly rewards: number;
  /** Steps that one text may be cut into. */
  readonly steps: number;
  /** Questions or follow-up lines of one reward, and the characters of each. */
  readonly questions: number;
  readonly questionLength: number;
  /** Texts that one request may have judged. */
  readonly documents: number;
  readonly stops: number;
  readonly stopLength: number;
  readonly logitBias: number;
  readonly topLogprobs: number;
  /** Log-probs of prompts that one answer may tell: tokens x choices x (1 + logprobs). */
  readonly promptLogprobs: number;
  readonly messages: number;
  /** Functions that one request may offer. */
  readonly tools: number;
  readonly weight: number;
  /** Steering vectors of one request, and the largest scale of each. */
  readonly vectors: number;
  readonly vectorScale: number;
  readonly rules: RuleLimits;
}

export interface Catalog {
  /** The policy that answers where a request names none. */
  readonly policy: string;
  readonly models: ReadonlyMap<string, ModelCard>;
  readonly presets: ReadonlyMap<string, Preset>;
  readonly remotes: ReadonlyMap<string, RemoteCard>;
  readonly vectors: ReadonlyMap<string, VectorCard>;
  readonly limits: Limits;
  /** Longest sequence the engine has rows for, in tokens. */
  readonly maxLength: number;
}

/** The card of a policy, by default of the one that answers where a request names none. */
export function policyCard(catalog: Catalog, name = catalog.policy): ModelCard {
  const card = catalog.models.get(name);
  if (card?.role !== 'policy') throw new Error(`the catalog lacks the policy ${name}`);
  return card;
}

export function policiesOf({ models }: Catalog): ModelCard[] {
  return [...models.values()].filter(({ role }) => role === 'policy');
}

/** What may guide a policy: its own vocabulary's guides and policies, itself included. */
export function guidesOf({ models }: Catalog, { vocabulary }: ModelCard): ModelCard[] {
  const able = ({ role }: ModelCard): boolean => role === 'guide' || role === 'policy';
  return [...models.values()].filter((card) => able(card) && card.vocabulary === vocabulary);
}

/** Names of what a policy can be steered by. */
export function vectorsOf({ vectors }: Catalog, { name }: ModelCard): string[] {
  return [...vectors.values()].filter(({ model }) => model === name).map((card) => card.name);
}
