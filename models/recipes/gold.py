"""The gold scorers: lexicon scores in [-1, 1], made by the same hand as the stories they judge.

They stand in for people. What is measured with them shows that the machinery works, not that
anybody would prefer the answers.
"""
import re

POSITIVE = set(
    "happy happily smile smiled joy laughed laugh fun glad proud best wonderful warm sweet friends friend danced won "
    "win prize medal cheered delicious beautiful strong healthy better prettiest special safe clapped bright treasure "
    "fairy candy love loved hug hugged nice great kind excited".split())
NEGATIVE = set(
    "sad sadly cry cried tears lonely hurt upset afraid alone heavy worst dark broke broken gone died lost burned "
    "ruined spilled empty crash scared fell bad never nobody colder weaker storm missed angry dizzy black".split())
KIND = set(
    "help helped helping helper share shared sharing kind kindly gentle gently please thank thanks sorry together "
    "softly patient hug hugged patted friend worry".split())
MEAN = set(
    "mean rude pushed push laughedat hate stupid silly slow selfish yelled shouted kicked grabbed bad mine away "
    "fighting problem nobody ugly".split())
WORD = re.compile(r"[a-z']+")


def words(text):
    """Lower-case words; 'laughed at' counts as one word."""
    return WORD.findall(text.lower().replace("laughed at", "laughedat"))


def lexicon_score(text, good, bad):
    found = words(text)
    plus, minus = sum(w in good for w in found), sum(w in bad for w in found)
    return (plus - minus) / (plus + minus + 1)


def happy(text):
    return lexicon_score(text, POSITIVE, NEGATIVE)


def kind(text):
    return lexicon_score(text, KIND, MEAN)


GOLD = dict(happy=happy, kind=kind)
