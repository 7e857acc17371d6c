/**
 * Reads a config.json field by field: what is read is understood, what is listed as of no account is skipped,
 * and anything else is refused by its name, so that no setting of a checkpoint is silently lost.
 */

/** Fields that say nothing about the forward pass of any family. */
const NO_ACCOUNT = [
  'architectures',
  'model_type',
  'id2label',
  'label2id',
  'problem_type',
  'bos_token_id',
  'eos_token_id',
  'pad_token_id',
  'unk_token_id',
  'sep_token_id',
  'torch_dtype',
  'dtype',
  'transformers_version',
  'use_cache',
  'cache_implementation',
  'initializer_range',
  'initializer_factor',
  'attention_dropout',
  'classifier_dropout',
  'hidden_dropout',
  'output_attentions',
  'output_hidden_states',
  'return_dict',
  'return_dict_in_generate',
  'use_return_dict',
  'torchscript',
  'gradient_checkpointing',
  'chunk_size_feed_forward',
  'is_decoder',
  'is_encoder_decoder',
  'task_specific_params',
  'finetuning_task',
  'tokenizer_class',
  'unsloth_version',
  'unsloth_fixed',
  '_name_or_path',
  '_attn_implementation_autoset',
  'transformers.js_config',
  // Names of a remote implementation; what it would compute is the family's definition.
  'auto_map',
];

const MOST = 2 ** 24;
/** Of a model. */
export const MOST_LAYERS = 1000;

type Raw = Readonly<Record<string, unknown>>;

export class Fields {
  readonly #raw: Raw;
  readonly #where: string;
  readonly #seen = new Set<string>();

  /** @param where the file, and the path of the object in it, for messages */
  constructor(raw: unknown, where: string) {
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
      throw new Error(`${where} is ${JSON.stringify(raw)}; it must be an object`);
    this.#raw = { ...raw };
    this.#where = where;
  }

  /** Whether the field is there and not null. */
  has(name: string): boolean {
    return (this.#raw[name] ?? null) !== null;
  }

  /** How many fields there are. */
  get size(): number {
    return Object.keys(this.#raw).length;
  }

  /** The field as it is; null if it is missing. */
  get(name: string): unknown {
    this.#seen.add(name);
    return this.#raw[name] ?? null;
  }

  /** A number above zero. */
  positive(name: string, missing?: number): number {
    const value = this.get(name) ?? missing;
    if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value))
      return this.refuse(name, 'a positive number');
    return value;
  }

  /** A whole number above zero. The bound is far beyond any published model. */
  count(name: string, missing?: number, most = MOST): number {
    const value = this.positive(name, missing);
    if (!Number.isSafeInteger(value)) this.refuse(name, 'a whole number');
    return value <= most ? value : this.refuse(name, `at most ${most}`);
  }

  /** A positive number, or 0 where the field is null; a default where it is missing. */
  optional(name: string, missing: number): number {
    if (this.#raw[name] === undefined) return missing;
    return this.has(name) ? this.positive(name) : (this.ignore(name), 0);
  }

  flag(name: string, missing: boolean): boolean {
    const value = this.get(name) ?? missing;
    return typeof value === 'boolean' ? value : this.refuse(name, 'true or false');
  }

  /** One of a few values; the first is that of a missing field, if `missing` says so. */
  oneOf<const T>(name: string, allowed: readonly T[], missing?: T): T {
    const value = this.get(name) ?? missing;
    const found = allowed.find((item) => item === value);
    return found === undefined
      ? this.refuse(name, allowed.map((item) => JSON.stringify(item)).join(', '))
      : found;
  }

  /** Accepts a missing field, null, or one of these values. */
  only(name: string, ...allowed: readonly unknown[]): void {
    const value = this.get(name);
    if (value !== null && !allowed.includes(value))
      this.refuse(
        name,
        [...allowed.map((item) => JSON.stringify(item)), 'leaving it out'].join(', '),
      );
  }

  /** A list with one item for each of `length`; null if it is missing. */
  list<T>(name: string, length: number, is: (item: unknown) => item is T): readonly T[] | null {
    const value = this.get(name);
    if (value === null) return null;
    if (!Array.isArray(value) || value.length !== length || !value.every(is))
      return this.refuse(name, `a list of ${length}`);
    return value;
  }

  /** An object inside this one; null if it is missing. */
  object(name: string): Fields | null {
    return this.has(name)
      ? new Fields(this.get(name), `${this.#where}: ${name}`)
      : this.nothing(name);
  }

  /** Fields of no account. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.#seen.add(name);
  }

  /** Throws if a field was neither read nor listed. */
  done(): void {
    this.ignore(...NO_ACCOUNT);
    const stray = Object.keys(this.#raw).find((name) => !this.#seen.has(name));
    if (stray !== undefined) this.refuse(stray, 'leaving it out');
  }

  refuse(name: string, wanted: string): never {
    throw new Error(
      `${this.#where}: ${name} is ${JSON.stringify(this.#raw[name])}; the importer supports ${wanted}`,
    );
  }

  private nothing(name: string): null {
    this.#seen.add(name);
    return null;
  }
}
