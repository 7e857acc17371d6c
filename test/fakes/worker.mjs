/**
 * An inference process without inference, for the tests of its parent. Plans are {id, say, events}: `events` commits,
 * then the end; `say: 'die'` kills it, `say: 'spin'` never returns, `say: 'wait'` waits for its abort, as judging a text `wait` does. argv: 'fatal', 'silent' or nothing.
 */

const requests = new Map();
const send = (message) => process.send(message);
const events = (id, list) => send({ kind: 'events', batch: [[id, list]] });
const commit = { kind: 'commit', choice: 0, text: 'x', draws: [], tokens: 1 };

function pump(id) {
  const request = requests.get(id);
  if (!request || request.paused) return;
  if (request.left-- === 0) {
    requests.delete(id);
    return events(id, [{ kind: 'end', cancelled: false, spent: 5 }]);
  }
  events(id, [{ ...commit, text: String(request.left) }]);
  setImmediate(() => pump(id));
}

const handlers = {
  start({ plan }) {
    if (plan.say === 'die') process.exit(3);
    while (plan.say === 'spin');
    requests.set(plan.id, { left: plan.events ?? 0, paused: false, pauses: 0 });
    if (plan.say !== 'wait') pump(plan.id);
  },
  abort({ id }) {
    const { judged } = requests.get(id) ?? {};
    if (requests.delete(id) && !judged) events(id, [{ kind: 'end', cancelled: true, spent: 2 }]);
  },
  pause({ id }) {
    const request = requests.get(id);
    if (request) request.paused = true;
  },
  resume({ id }) {
    const request = requests.get(id);
    if (!request) return;
    request.paused = false;
    pump(id);
  },
  judge({ asked: { id, candidates } }) {
    if (candidates.length === 0) process.exit(3);
    if (candidates.some(({ text }) => text === 'wait')) return requests.set(id, { judged: true });
    const failure = { code: 'reward_failed', message: 'no', param: null };
    const bad = candidates.some(({ text }) => text === 'bad');
    const scores = candidates.map(({ text }) => ({ value: text.length, parts: {} }));
    send({ kind: 'judged', id, judged: bad ? failure : { scores, evaluations: [] } });
  },
  snapshot({ seq }) {
    const paused = [...requests.values()].filter((request) => request.paused).length;
    send({
      kind: 'snapshot',
      seq,
      snapshot: { requestsRunning: requests.size, requestsWaiting: paused },
    });
  },
  stop() {
    process.exit(0);
  },
};

process.on('message', (message) => handlers[message.kind](message));
process.on('disconnect', () => process.exit(0));
if (process.argv[2] === 'fatal') {
  process.send({ kind: 'fatal', message: 'model.onnx is damaged' }, () => process.exit(1));
} else if (process.argv[2] !== 'silent') send({ kind: 'ready', loadMs: 5 });
