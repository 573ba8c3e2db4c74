/* Shows /api/v1/status and looks again every two seconds. Everything from the API is set as text, never as HTML. */

const EVERY_MS = 2000;
const about = document.querySelector('#about');
const form = document.querySelector('#token');
let token;

function fill(table, head, rows) {
  const row = (cells, tag) => {
    const line = document.createElement('tr');
    for (const [index, [text, kind]] of cells.entries()) {
      const cell = document.createElement(tag);
      cell.textContent = text;
      cell.dataset.head = head[index][0];
      if (kind) cell.className = kind;
      line.append(cell);
    }
    return line;
  };
  table.replaceChildren(row(head, 'th'), ...rows.map((cells) => row(cells, 'td')));
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
    .map(([name, count]) => `${count.toLocaleString()} ${name}`)
    .join(', ');
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
      [vip.protocol ?? vip.mode],
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

async function look() {
  try {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const answer = await fetch('api/v1/status', { headers });
    const body = await answer.json();
    form.hidden = answer.status !== 401;
    if (!answer.ok) throw new Error(body.detail);
    show(body);
  } catch (error) {
    about.className = 'error';
    about.textContent = `no answer: ${error.message}`;
  }
  setTimeout(() => void look(), EVERY_MS);
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  token = form.querySelector('input').value;
});
void look();
