/*
 * Shows what the API says, and looks again every two seconds. Everything from the API is set as text, never as HTML.
 * Of messages in quarantine it shows what the API lists of them: what is in them no browser gets.
 */

const EVERY_MS = 2000;
const about = document.querySelector('#about');
const form = document.querySelector('#token');
const durable = document.querySelector('#durable');
const note = document.querySelector('#quarantine-note');
let token;
/** A change was refused for want of it. */
let isTokenNeeded = false;

/** A cell is what is in it, text or an element, and its class. */
function row(head, cells, tag = 'td') {
  const line = document.createElement('tr');
  for (const [index, [content, kind]] of cells.entries()) {
    const cell = document.createElement(tag);
    cell.append(content);
    cell.dataset.head = head[index][0];
    if (kind) cell.className = kind;
    line.append(cell);
  }
  return line;
}

function fill(table, head, rows) {
  table.replaceChildren(row(head, head, 'th'), ...rows.map((cells) => row(head, cells)));
}

function duration(seconds) {
  const parts = [
    [86400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const [size, unit] = parts.find(([limit]) => seconds >= limit) ?? [1, 's'];
  return `${Math.floor(seconds / size)} ${unit}`;
}

function totalsOf(totals) {
  return Object.entries(totals)
    .map(([name, count]) => (name === 'bytes' ? sizeText(count) : `${count.toLocaleString()} ${name}`))
    .join(', ');
}

/** What a layer 4 VIP does, by its mode. */
const MODES = {
  dr: 'Direct return: the servers answer the clients themselves',
  nat: 'The address of the server is put in; it answers by way of the balancer',
  snat: "The addresses of the server and of the balancer are put in: the servers do not see the clients'",
};

/** What is spoken there; of layer 4 the way that packets go. */
function kindOf({ protocol, mode }) {
  if (protocol !== null) return protocol;
  const badge = document.createElement('span');
  badge.className = 'badge';
  badge.textContent = mode.toUpperCase();
  badge.title = MODES[mode];
  return badge;
}

function show(status) {
  about.className = '';
  about.textContent = `version ${status.version}, up for ${duration(status.uptime)}`;
  fill(
    document.querySelector('#vips'),
    [
      ['Name'],
      ['Protocol'],
      ['Listens on'],
      ['Pool'],
      ['Persistence'],
      ['Open', 'number'],
      ['Since the start'],
    ],
    status.vips.map((vip) => [
      [vip.name],
      [kindOf(vip)],
      [vip.listen.join(', ')],
      [vip.pool ?? 'reject'],
      [vip.persistence],
      [vip.connections.toLocaleString(), 'number'],
      [totalsOf(vip.totals)],
    ]),
  );
  fill(
    document.querySelector('#servers'),
    [
      ['Server'],
      ['Address'],
      ['State'],
      ['Why'],
      ['Weight', 'number'],
      ['Active', 'number'],
      ['Since the start'],
    ],
    status.pools.flatMap((pool) =>
      pool.servers.map((server) => [
        [`${pool.name}/${server.name}${pool.activeServer === server.name ? ' (active)' : ''}`],
        [server.address],
        [server.state, server.state],
        [server.reason],
        [String(server.weight), 'number'],
        [server.active.toLocaleString(), 'number'],
        [totalsOf(server.totals)],
      ]),
    ),
  );
}

const FORWARDED = [
  ['Service'],
  ['Mode'],
  ['Server'],
  ['Open', 'number'],
  ['Connections', 'number'],
  ['Packets', 'number'],
  ['To the server', 'number'],
];

function showForwarded(vips) {
  const layer4 = vips.filter(({ servers }) => servers);
  document.querySelector('#layer4').hidden = layer4.length === 0;
  fill(
    document.querySelector('#forwarded'),
    FORWARDED,
    layer4.flatMap((vip) =>
      vip.servers.map(({ pool, server, flows, connections, packets, bytes }) => [
        [vip.name],
        [kindOf(vip)],
        [`${pool}/${server}`],
        [flows === null ? 'not counted yet' : flows.toLocaleString(), 'number'],
        [connections.toLocaleString(), 'number'],
        [packets.toLocaleString(), 'number'],
        [sizeText(bytes), 'number'],
      ]),
    ),
  );
}

function sizeText(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
  return `${(bytes / 1024 ** power).toLocaleString(undefined, { maximumFractionDigits: 1 })} ${units[power]}`;
}

const QUEUES = [
  ['Name'],
  ['Waiting', 'number'],
  ['On its way', 'number'],
  ['In quarantine', 'number'],
  ['Oldest', 'number'],
  ['In', 'number'],
  ['Out', 'number'],
  ['Size', 'number'],
];

function queueCells(queue) {
  const { vip, messages, taken, held, age, bytes, storedPerSecond, deliveredPerSecond } = queue;
  const number = (count) => [count.toLocaleString(), 'number'];
  const depth = queue.isReadable
    ? [
        number(messages - taken - held),
        number(taken),
        [held.toLocaleString(), held > 0 ? 'number held' : 'number'],
        [age === null ? 'none' : duration(age), 'number'],
      ]
    : [['its file cannot be read', 'number down'], ...Array(3).fill(['?', 'number'])];
  const rate = (count) => [`${count.toLocaleString()}/s`, 'number'];
  const size = [queue.isReadable ? sizeText(bytes) : '?', 'number'];
  return [[vip], ...depth, rate(storedPerSecond), rate(deliveredPerSecond), size];
}

/** Messages of one queue that are shown: more are for the command line. */
const MOST_HELD = 50;

const HELD = [['Message'], ['From'], ['Stored'], ['Why it is here'], ['']];

/** Its rows, by VIP and id: what is in one never changes, and a button keeps its focus. */
let heldRows = new Map();

function heldRow({ vip, id, ...message }) {
  const { type, event, controlId, sender, client, returnTo, arrived, reason, attempts } = message;
  const name = `${vip} ${id}`;
  const kind = [type, event].filter(Boolean).join('^') || 'message';
  const from = sender || client || (returnTo ? `an application, for ${returnTo}` : 'unknown');
  const button = (label, hint, kindOfButton, act) => {
    const made = document.createElement('button');
    made.type = 'button';
    made.textContent = label;
    made.title = hint;
    made.className = kindOfButton;
    made.setAttribute('aria-label', `${label} ${name}`);
    made.addEventListener('click', act);
    return made;
  };
  const actions = document.createElement('div');
  actions.className = 'actions';
  const change = (what) => void changeHeld(vip, id, what, actions);
  actions.append(
    button('Release', 'Delivered next, before the later messages of its patients', '', () =>
      change('release'),
    ),
    button('Replay', 'Delivered after all that wait', '', () => change('replay')),
    button('Drop…', 'Removed for ever', 'danger', () => {
      document.querySelector('#drop-what').textContent =
        `${name}: ${kind}, control id ${controlId || 'none'}, from ${from}.`;
      askToDrop(() => change('drop'));
    }),
  );
  const why = [
    reason,
    attempts === 1 ? 'tried once' : `tried ${attempts.toLocaleString()} times`,
    ...(message.maybeTwice ? ['it may have arrived already'] : []),
    ...(message.keepsPlace ? ['later messages of its patients wait for it'] : []),
  ];
  return row(HELD, [
    [`${name}: ${kind} ${controlId ?? ''}`],
    [from],
    [new Date(arrived).toLocaleString()],
    [why.join('; ')],
    [actions],
  ]);
}

function showHeld(messages) {
  const rows = new Map(
    messages.map((message) => {
      const key = `${message.vip} ${message.id}`;
      return [key, heldRows.get(key) ?? heldRow(message)];
    }),
  );
  const isSame = [...rows.keys()].join() === [...heldRows.keys()].join();
  if (isSame) return;
  heldRows = rows;
  const focused = document.activeElement;
  const table = document.querySelector('#quarantine');
  table.replaceChildren(...(rows.size === 0 ? [] : [row(HELD, HELD, 'th'), ...rows.values()]));
  if (focused.isConnected) focused.focus();
}

const dialog = document.querySelector('#drop');
let drop;

function askToDrop(act) {
  drop = act;
  dialog.showModal();
}

document.querySelector('#drop-no').addEventListener('click', () => dialog.close());
document.querySelector('#drop-yes').addEventListener('click', () => {
  dialog.close();
  drop();
});

/** What became of the last change. */
let said = { text: '', kind: '' };

async function changeHeld(vip, id, what, actions) {
  const buttons = [...actions.children];
  for (const button of buttons) button.disabled = true;
  const at = `api/v1/queues/${encodeURIComponent(vip)}/quarantine/${id}`;
  const done = { release: 'released', replay: 'replayed', drop: 'dropped' }[what];
  try {
    await ask(what === 'drop' ? at : `${at}/${what}`, what === 'drop' ? 'DELETE' : 'POST');
    said = { text: `${vip} ${id} was ${done}.`, kind: '' };
  } catch (error) {
    isTokenNeeded ||= error.status === 401;
    const why = isTokenNeeded && token === undefined ? 'changes need the token, above.' : error.message;
    said = { text: `${vip} ${id} was not ${done}: ${why}`, kind: 'error' };
  }
  for (const button of buttons) button.disabled = false;
  await showQueues();
  form.hidden = !isTokenNeeded;
  if (isTokenNeeded) form.querySelector('input').focus();
  else note.focus();
}

async function showQueues() {
  try {
    const queues = await ask('api/v1/queues');
    durable.hidden = queues.length === 0;
    fill(document.querySelector('#queues'), QUEUES, queues.map(queueCells));
    const full = queues.filter(({ held }) => held > 0);
    const pages = await Promise.all(
      full.map(async ({ vip }) => {
        const path = `api/v1/queues/${encodeURIComponent(vip)}/quarantine?limit=${MOST_HELD}`;
        return (await ask(path)).map((message) => ({ vip, ...message }));
      }),
    );
    showHeld(pages.flat());
    const held = full.reduce((sum, queue) => sum + queue.held, 0);
    const shown = pages.flat().length;
    const sentences = [said.text];
    if (held === 0) sentences.push('Nothing is in quarantine.');
    if (shown < held) sentences.push(`${shown} of ${held} are shown; gantry queue list has them all.`);
    tell(sentences.join(' ').trim(), said.kind);
  } catch (error) {
    tell(`The queues cannot be shown: ${error.message}`, 'error');
  }
}

/** Only what is new is read out. */
function tell(text, kind) {
  if (note.textContent !== text) note.textContent = text;
  note.className = kind;
}

/** The answer's document; an error with the status and a sentence when it says no. */
async function ask(path, method = 'GET') {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(path, { method, headers });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.detail), { status: answer.status });
  return body;
}

async function look() {
  try {
    const status = await ask('api/v1/status');
    show(status);
    showForwarded(status.vips);
    form.hidden = !isTokenNeeded;
    await showQueues();
  } catch (error) {
    form.hidden = error.status !== 401;
    about.className = 'error';
    about.textContent = `no answer: ${error.message}`;
  }
  setTimeout(() => void look(), EVERY_MS);
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  token = form.querySelector('input').value;
  isTokenNeeded = false;
  form.hidden = true;
  said = { text: '', kind: '' };
});
void look();
