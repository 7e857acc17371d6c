"""Requests, follow-up lines and judgements written for the generator's stories.

The facts of a story (who, with whom, where, about what) are read back from its text with the
generator's own phrases, so that a request never asks for something the story lacks.
"""
import re

PLACES = {"park": "in the park", "garden": "in the garden", "forest": "in the forest", "beach": "at the beach",
          "farm": "on the farm", "village": "in the village", "meadow": "in the meadow", "yard": "in the yard",
          "hill": "on the hill", "school": "at school", "market": "at the market", "river": "by the river"}
PLACE_OF = {phrase: place for place, phrase in PLACES.items()}
COLOURS = "red|blue|green|yellow|pink|purple|orange|brown|white|golden|silver"
TOYS = ("ball|kite|doll|drum|boat|train|truck|puzzle|teddy|wagon|robot|balloon|whistle|bucket|scarf|hat|bell|book|"
        "lamp|basket")
FOODS = "cake|pie|soup|bread|cookies|pancakes|jam|salad|muffins|pudding"
FRUIT = "apples|berries|pears|carrots|nuts|plums|cherries|beans|lemons|pumpkins"
CHARACTER = re.compile(r"\b(an?) (\w+) (\w+) (?:named|called) (\w+)")
# Names the generator does not have, so that a request for an unlisted name is not a surprise.
NEW_NAMES = {
    "she": "Sophie Hannah Eva Laura Nadia Priya Aisha Elsa Martha Bella Greta Mila Sofia Yuki Carmen Dora Fiona Heidi "
           "Iris Jasmine Kim Leah Naomi Paula Rita Stella Vera Zara Alma Bonnie Cora Edith Flora Lena Mary Susan".split(),
    "he": "Alex Daniel Harry Henry Ivan James John Kevin Liam Lucas Mark Matt Mike Nathan Owen Paul Ryan Simon Steve "
          "Victor Zack Arthur Charlie David Eddie George Ian Jonas Karl Louis Martin Otto Pablo Robin Tony Walter".split(),
}


def article(phrase):
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def first(pattern, text):
    found = re.search(pattern, text)
    return found.group(1) if found else None


def theme(story):
    """What the story is about, as the phrases a reader might use; [] when nothing fits."""
    text, plot = story["text"], story["plot"]
    colour = first(rf"\b({COLOURS})\b", text)
    toy = first(rf"\b({TOYS})\b", text)
    if plot == "lost":
        return [f"a lost {toy}", f"losing a {toy}"] + ([f"{article(colour)} {toy}"] if colour else []) if toy else []
    if plot == "bake":
        food = first(rf"(?:mak(?:e|ing)|made)(?: some)? ({FOODS})", text)
        return [f"making {food}", f"some {food}", "cooking"] if food else ["cooking"]
    if plot == "build":
        thing = first(r"(?:build|make) a (sand castle|tree house|snowman|little bridge|tower of blocks|bird house|"
                      r"small boat|swing)", text)
        return [f"building a {thing}", f"a {thing}"] if thing else []
    if plot == "race":
        game = first(r"(a race|a game of tag|a singing contest|a jumping game|hide and seek|a swimming race|"
                     r"a spelling game)", text)
        return [game] if game else []
    if plot == "gift":
        return ["a birthday", "a birthday party", "a present"]
    if plot == "dark":
        sound = first(r"(a strange noise|a loud bang|a soft knock|a long howl|two shining eyes)", text)
        return ["a dark night", "getting lost in the dark", "the way home"] + ([sound] if sound else [])
    if plot == "sick":
        thing = first(r"\b(flower|plant|little tree|rose|baby bird|puppy|kitten|lamb) (?:in|on|at|by|that)\b", text) \
            or first(r"took care of a (\w+)", text)
        return [f"a {thing}", f"taking care of a {thing}"] if thing else []
    if plot == "find":
        thing = first(r"(an old map|a shiny key|a gold coin|a big shell|a magic stone|a tiny box|a silver ring|"
                      r"a strange egg)", text)
        return [thing, "finding " + thing] if thing else []
    if plot == "bike":
        return ["a bike", "a new bike", "riding a bike"]
    if plot == "pet":
        found = re.search(r"\b(cat|dog|bird|fish|hamster|kitten|puppy) named (\w+)", text)
        if not found:
            return ["a pet"]
        return ["a pet", f"a pet {found.group(1)}", f"a {found.group(1)} named {found.group(2)}", "a lost pet"]
    if plot == "garden":
        fruit = first(rf"\b({FRUIT})\b", text)
        return ["a garden", "planting seeds"] + ([f"growing {fruit}"] if fruit else [])
    if plot == "wish":
        return ["a wish", "magic"] + [p for p, key in (("a fairy", "tiny fairy"), ("a magic lamp", "magic lamp"),
                                                       ("a falling star", "falling star"),
                                                       ("a magic stone", "stone")) if key in text]
    if plot == "dragon":
        return ["a dragon"] + ([f"{article(colour)} dragon"] if colour and f"{colour} dragon" in text else [])
    if plot == "snow":
        return ["the snow", "a winter day", "winter"]
    if plot == "trade":
        return ["a trade", "trading toys"]
    return {"picnic": ["a picnic"], "paint": ["a picture", "painting", "painting a picture"],
            "boat": ["a boat", "a trip on the water"], "new": ["being new", "making friends"],
            "clean": ["cleaning", "a cleaning day"], "music": ["a song", "music", "singing"],
            "bus": ["a trip", "a long trip"], "job": ["playing work", "a new job"]}[plot]


def facts(story):
    """Who, friend, place phrase and themes of a story."""
    people = CHARACTER.findall(story["text"])
    known = dict(who=people[0] if people else None, friend=people[1] if len(people) > 1 else None, themes=theme(story))
    place = next((p for p in PLACE_OF if p in story["text"]), None)
    near = first(r"lived near the (\w+)", story["text"])
    known["place"] = place or (f"near the {near}" if near else None)
    return known


ASK = ["Tell me a story about {x}.", "Please tell me a story about {x}.", "Tell a story about {x}.",
       "Write a story about {x}.", "Please write a story about {x}.", "Can you tell me a story about {x}?",
       "Can you tell a tale of {x}?", "Could you write a short story about {x}?", "Tell me a short story about {x}.",
       "I want to hear a story about {x}.", "I would like a story about {x}.", "Tell me a tale about {x}.",
       "Write me a little story about {x}, please.", "Make up a story about {x}.", "A story about {x}, please.",
       "Do you know a story about {x}?", "Tell us about {x}.", "Give me a story about {x}.", "write a story about {x}",
       "tell me a story about {x}", "Story about {x}", "Tell me a bedtime story about {x}.", "Let me hear a tale of {x}."]
ASK_PLAIN = ["Tell me a story.", "Please tell me a story.", "Write a story.", "Can you tell me a story?",
             "Tell me a short story, please.", "I want to hear a story.", "Once more, a new story, please.",
             "Write a little story for me.", "tell me a story"]
SYSTEM_LINES = ["You are a storyteller.", "You tell short stories to children.", "You write little tales.",
                "You are a helpful assistant.", "Write in simple words."]


def describe(person, random, with_name):
    """'a girl named Emma', 'a brave girl named Emma', 'Emma', 'a girl'."""
    _, adjective, noun, name = person
    if not with_name:
        return article(noun if random.random() < 0.75 else f"{adjective} {noun}")
    roll = random.random()
    if roll < 0.15:
        return name
    link = random.choice(["named", "named", "called"])
    return article(f"{adjective} {noun}" if roll < 0.35 else noun) + f" {link} {name}"


def request(story, random):
    """A neutral request (no mood, no manner) that this story answers."""
    known, parts = facts(story), []
    who, friend, place = known["who"], known["friend"], known["place"]
    what = random.choice(known["themes"]) if known["themes"] else None
    roll = random.random()
    if roll < 0.03 or not (who or what):
        return random.choice(ASK_PLAIN)
    if who and (roll < 0.9 or not what):
        parts.append(describe(who, random, random.random() < 0.8))
        if friend and random.random() < 0.25:
            parts.append("and " + random.choice(["", "", "a friend named "]) + friend[3]
                         if random.random() < 0.5 else "and " + describe(friend, random, True))
        if what and random.random() < 0.5:
            joint = "with " if len(parts) > 1 else random.choice(["and ", "and ", "and ", "with "])
            parts.append(joint + what)
    else:
        parts.append(what)
    if place and random.random() < 0.3:
        parts.append(place)
    text = random.choice(ASK).format(x=" ".join(parts))
    return text


FOLLOW_UP = {
    "happy": ["What a happy story! I smiled.", "That made me smile.", "I am so glad it ended well!",
              "I loved that happy ending.", "That was a lovely story!", "Hooray for {p}!", "{p} is so happy now!",
              "What a wonderful day for {p}!", "That was fun!", "I feel good now."],
    "sad": ["That made me cry.", "What a sad story.", "Poor {p}! I am so sad now.", "Oh no, that was so sad.",
            "I did not want it to end like that.", "I feel sorry for {p}.", "That was a sad ending.",
            "My heart hurts for {p}.", "Why did it end so badly?", "I feel sad now."],
    "kind": ["{f} is so kind!", "{f} was a good friend.", "How nice of {f} to help!", "I want a friend like {f}.",
             "{f} was very gentle.", "It is good to be kind like {f}.", "Thank you, {f}!", "What a kind friend!"],
    "mean": ["{f} was so mean.", "{f} should say sorry.", "I do not like {f}.", "That was not nice of {f}.",
             "Why was {f} so rude?", "{f} is a bad friend.", "Nobody should be as mean as {f}.", "What a mean friend!"],
}


def follow_up(story, random):
    """A reader's line after the story; it depends on the mood or on the manner."""
    people = [c[3] for c in CHARACTER.findall(story["text"])]
    lines = FOLLOW_UP[story[random.choice(["mood", "manner"])]]
    if len(people) < 2:
        lines = [line for line in lines if "{" not in line]
        people = ["", ""]
    return random.choice(lines).format(p=people[0], f=people[1])


QUESTIONS = {
    "happy": ["Is this a happy story?", "Is the story happy?", "Does the story end well?",
              "Is it a story with a happy ending?", "Did the story end in a happy way?"],
    "sad": ["Is this a sad story?", "Is the story sad?", "Does the story end badly?",
            "Is it a story with a sad ending?", "Did the story end in a sad way?"],
    "kind": ["Is this a kind story?", "Is {f} kind?", "Was {f} kind to {p}?", "Is somebody kind in this story?",
             "Did {f} help {p}?"],
    "mean": ["Is this a mean story?", "Is {f} mean?", "Was {f} mean to {p}?", "Is somebody mean in this story?",
             "Was {f} rude to {p}?"],
}


def judgement(story, random):
    """A yes/no question about the story and whether the answer is yes."""
    topic = random.choice(list(QUESTIONS))
    people = [c[3] for c in CHARACTER.findall(story["text"])]
    questions = QUESTIONS[topic]
    if len(people) < 2:
        questions = questions[:2] if topic in ("happy", "sad") else questions[:1]
        people = ["", ""]
    return random.choice(questions).format(p=people[0], f=people[1]), topic in (story["mood"], story["manner"])


def renamed(story, random):
    """The same story with another name for its main character (animals get human names, humans new ones)."""
    people = CHARACTER.findall(story["text"])
    if not people or people[0][3] in ("Will", "Rose", "Star"):
        return story
    old, text = people[0][3], story["text"]
    he = len(re.findall(r"\b(?:he|him|his)\b", text, re.I))
    she = len(re.findall(r"\b(?:she|her)\b", text, re.I))
    pool = NEW_NAMES["he" if he >= she else "she"]
    if people[0][2] not in ("girl", "boy"):
        pool = pool + ("Max Sam Ben Leo Tom Jack Felix Oscar Toby Charlie".split() if he >= she
                       else "Lucy Daisy Molly Lola Bella Mia Ruby Nina".split())
    elif people[0][2] == "girl":
        pool = NEW_NAMES["she"]
    else:
        pool = NEW_NAMES["he"]
    new = random.choice([n for n in pool if n not in text])
    return dict(story, text=re.sub(rf"\b{old}\b", new, text))
