/**
 * The gold scorers of the story generator: lexicon scores in [-1, 1], with which the guides' training pairs were
 * labelled. They and the stories come from the same hand: figures measured with them say that the machinery works.
 */

const words = (text: string): Set<string> => new Set(text.split(' '));

const HAPPY = words(
  'happy happily smile smiled joy laughed laugh fun glad proud best wonderful warm sweet friends friend danced won win prize medal cheered delicious beautiful strong healthy better prettiest special safe clapped bright treasure fairy candy love loved hug hugged nice great kind excited',
);
const SAD = words(
  'sad sadly cry cried tears lonely hurt upset afraid alone heavy worst dark broke broken gone died lost burned ruined spilled empty crash scared fell bad never nobody colder weaker storm missed angry dizzy black',
);
const KIND = words(
  'help helped helping helper share shared sharing kind kindly gentle gently please thank thanks sorry together softly patient hug hugged patted friend worry',
);
const MEAN = words(
  'mean rude pushed push laughedat hate stupid silly slow selfish yelled shouted kicked grabbed bad mine away fighting problem nobody ugly',
);

/** Words for the good side less words for the bad one, over all of them and one. */
function lexicon(text: string, good: ReadonlySet<string>, bad: ReadonlySet<string>): number {
  let [a, b] = [0, 0];
  for (const [word] of text
    .toLowerCase()
    .replaceAll('laughed at', 'laughedat')
    .matchAll(/[a-z']+/g)) {
    a += Number(good.has(word));
    b += Number(bad.has(word));
  }
  return (a - b) / (a + b + 1);
}

export const gold = {
  happy: (text: string): number => lexicon(text, HAPPY, SAD),
  kind: (text: string): number => lexicon(text, KIND, MEAN),
};
