/** Small tokenizers of each family, as tokenizer.json holds them: every character they know, and some words. */

export interface TokenizerFiles {
  readonly tokenizer: Readonly<Record<string, unknown>>;
  readonly config: Readonly<Record<string, unknown>>;
}

const added = (content: string, id: number, special = true) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special,
});

const idsOf = (pieces: readonly string[]): Record<string, number> =>
  Object.fromEntries(pieces.map((piece, id) => [piece, id]));

const bytePieces = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
);
const LETTERS = [
  ...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?:;\'"-()[]<>|/_{}',
];

const template = (cls: readonly [string, number], sep: readonly [string, number]) => {
  const special = ([id]: readonly [string, number], type_id: number) => ({
    SpecialToken: { id, type_id },
  });
  const text = (id: 'A' | 'B', type_id: number) => ({ Sequence: { id, type_id } });
  return {
    type: 'TemplateProcessing',
    single: [special(cls, 0), text('A', 0), special(sep, 0)],
    pair: [special(cls, 0), text('A', 0), special(sep, 0), text('B', 1), special(sep, 1)],
    special_tokens: Object.fromEntries(
      [cls, sep].map(([id, number]) => [id, { id, ids: [number], tokens: [id] }]),
    ),
  };
};

/** BERT's: lower case, pieces that go on with a word marked with ##. */
export function wordPiece(): TokenizerFiles {
  const letters = LETTERS.filter((letter) => letter === letter.toLowerCase());
  const pieces = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'the', 'cat', 'play', '##ing'];
  const all = [...pieces, ...letters, ...letters.map((letter) => `##${letter}`)];
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: pieces.slice(0, 5).map((name, id) => added(name, id)),
      normalizer: {
        type: 'BertNormalizer',
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: template(['[CLS]', 2], ['[SEP]', 3]),
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab: idsOf(all),
      },
    },
    config: { tokenizer_class: 'BertTokenizer', cls_token: '[CLS]', sep_token: '[SEP]' },
  };
}

/** DeBERTa v3's and XLM-RoBERTa's: pieces with scores, spaces as metaspaces, special tokens among the pieces. */
export function unigram(): TokenizerFiles {
  const special = ['[PAD]', '[CLS]', '[SEP]', '[UNK]'];
  const words = ['▁', '▁the', '▁cat', '▁play', 'ing', ...LETTERS];
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: special.map((name, id) => added(name, id)),
      normalizer: null,
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
      post_processor: template(['[CLS]', 1], ['[SEP]', 2]),
      decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
      model: {
        type: 'Unigram',
        unk_id: 3,
        byte_fallback: false,
        vocab: [
          ...special.map((name) => [name, 0]),
          ...words.map((word) => [word, word.length > 1 ? -word.length : -6]),
        ],
      },
    },
    config: {
      tokenizer_class: 'DebertaV2Tokenizer',
      cls_token: '[CLS]',
      sep_token: '[SEP]',
      unk_token: '[UNK]',
    },
  };
}

/** Llama 2's: merges over metaspaced text, bytes for what it does not know. */
export function sentencePieceBpe(): TokenizerFiles {
  const special = ['<unk>', '<s>', '</s>'];
  const words = ['▁', ...LETTERS, '▁t', 'he', '▁the', '▁c', 'at', '▁cat'];
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: special.map((name, id) => added(name, id)),
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '▁' },
          { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
        ],
      },
      pre_tokenizer: null,
      post_processor: null,
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: '<unk>',
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: true,
        byte_fallback: true,
        vocab: idsOf([...special, ...bytePieces, ...words]),
        merges: ['▁ t', 'h e', '▁t he', '▁ c', 'a t', '▁c at'],
      },
    },
    config: {
      tokenizer_class: 'LlamaTokenizer',
      bos_token: '<s>',
      eos_token: '</s>',
      unk_token: '<unk>',
      add_bos_token: true,
    },
  };
}

/** GPT-2's alphabet of bytes: printable ones for themselves, the others by the next free letters. */
const alphabet = (): string[] => {
  let free = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
    return String.fromCodePoint(printable ? byte : free++);
  });
};

/** Llama 3's and Qwen's: merges over bytes; `whole` takes a piece of the vocabulary without merging. */
export function byteLevelBpe(whole = false): TokenizerFiles {
  const pieces = [...alphabet(), 'Ġt', 'he', 'Ġthe', '<|end|>', '<|start|>'];
  const end = pieces.indexOf('<|end|>');
  return {
    tokenizer: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: [added('<|end|>', end), added('<|start|>', end + 1)],
      normalizer: null,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          {
            type: 'Split',
            pattern: { Regex: '\\s?\\S+|\\s+' },
            behavior: 'Isolated',
            invert: false,
          },
          { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
        ],
      },
      post_processor: { type: 'ByteLevel', trim_offsets: true },
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: whole,
        vocab: idsOf(pieces),
        merges: [
          ['Ġ', 't'],
          ['h', 'e'],
          ['Ġt', 'he'],
        ],
      },
    },
    config: { tokenizer_class: 'PreTrainedTokenizerFast', eos_token: '<|end|>' },
  };
}
